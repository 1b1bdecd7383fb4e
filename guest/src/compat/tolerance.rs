//! The table of tolerances: what is accepted beyond the RFCs, who sends it, what it is read as, and what belongs there.

use serde::{Deserialize, Serialize};

use super::Profile;
use super::Profile::{Entra, Google, JumpCloud, Okta, OneLogin, Ping};

/// One departure from the RFCs that is accepted unless the tenant's profile says otherwise. [`Tolerance::item`] tells all
/// about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "ITEMS documents each, for programs as well")]
pub enum Tolerance {
    OperationCase,
    MethodCase,
    BooleanString,
    NumberString,
    RemoveByValue,
    CreateFromFilter,
    DottedKey,
    ComplexShape,
    SingleForArray,
    ArrayForSingle,
    JsonInString,
    ExtensionAtTop,
    EmptyString,
    Unknown,
    UnquotedLiteral,
    MissingSchemas,
    BadPageNumber,
    LegacyUrn,
    ReadOnlyEcho,
    UrlPath,
    QueryForm,
    PlusForSpace,
    MediaType,
}

/// What there is to know of a tolerance.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The tolerance.
    pub tolerance: Tolerance,
    /// Its name in settings, errors, the log and reports.
    pub id: &'static str,
    /// What is accepted.
    pub accepts: &'static str,
    /// What it is read as.
    pub read_as: &'static str,
    /// What belongs there instead.
    pub correct: &'static str,
    /// The section that it departs from.
    pub rfc: &'static str,
    /// The providers known to send it: their profiles accept it.
    pub sent_by: &'static [Profile],
    /// Other clients known to send it.
    pub others: &'static str,
}

/// All tolerances, in the order of [`Tolerance`].
pub const ITEMS: [Item; 23] = [
    Item {
        tolerance: Tolerance::OperationCase,
        id: "operation-case",
        accepts: "`op` in another case: `Add`, `REPLACE`",
        read_as: "the same operation",
        correct: "`op` must be lower case: add, replace or remove",
        rfc: "RFC 7644 §3.5.2",
        sent_by: &[Entra],
        others: "",
    },
    Item {
        tolerance: Tolerance::MethodCase,
        id: "method-case",
        accepts: "the `method` of a bulk operation in another case: `post`",
        read_as: "the same method",
        correct: "`method` must be upper case: POST, PUT, PATCH or DELETE",
        rfc: "RFC 7644 §3.7",
        sent_by: &[],
        others: "scripts",
    },
    Item {
        tolerance: Tolerance::BooleanString,
        id: "boolean-string",
        accepts: "a boolean as a string, in any case: `\"True\"`; without quotes in a filter, `True`",
        read_as: "the boolean",
        correct: "a boolean must be true or false, in lower case and without quotes",
        rfc: "RFC 7643 §2.3.2",
        sent_by: &[Entra],
        others: "Keycloak",
    },
    Item {
        tolerance: Tolerance::NumberString,
        id: "number-string",
        accepts: "a number as a string: `\"42\"`",
        read_as: "the number",
        correct: "a number must not be in quotes",
        rfc: "RFC 7643 §2.3.3, §2.3.4",
        sent_by: &[Entra],
        others: "",
    },
    Item {
        tolerance: Tolerance::RemoveByValue,
        id: "remove-by-value",
        accepts: "`remove` of a multi-valued attribute with the values to remove in `value`",
        read_as: "removal of these values alone; the path alone would clear the attribute",
        correct: "remove names values by a filter in `path`: members[value eq \"id\"]",
        rfc: "RFC 7644 §3.5.2.2",
        sent_by: &[Entra, JumpCloud],
        others: "",
    },
    Item {
        tolerance: Tolerance::CreateFromFilter,
        id: "create-from-filter",
        accepts: "a path whose filter selects nothing: `emails[type eq \"work\"].value`",
        read_as: "a new value with what the filter says is equal",
        correct: "the filter matches no value; add one with `add` and the attribute as path",
        rfc: "RFC 7644 §3.5.2.3",
        sent_by: &[Entra],
        others: "Rippling",
    },
    Item {
        tolerance: Tolerance::DottedKey,
        id: "dotted-key",
        accepts: "a path as a key: `\"name.givenName\"`, `\"urn:…:User:department\"`",
        read_as: "the attribute that it names",
        correct: "a key names one attribute; nest sub-attributes in objects: {\"name\": {\"givenName\": …}}",
        rfc: "RFC 7644 §3.5.2.1",
        sent_by: &[Entra],
        others: "",
    },
    Item {
        tolerance: Tolerance::ComplexShape,
        id: "complex-shape",
        accepts: "a complex value as its bare `value`, or alone in an array: `manager: \"id\"`, `members: [\"id\"]`",
        read_as: "an object with that `value`",
        correct: "a complex attribute takes a JSON object: {\"value\": …}",
        rfc: "RFC 7643 §2.3.8",
        sent_by: &[Entra, OneLogin, JumpCloud],
        others: "Keycloak",
    },
    Item {
        tolerance: Tolerance::SingleForArray,
        id: "single-for-array",
        accepts: "one value where an array belongs: `emails: {\"value\": …}`",
        read_as: "an array of that value",
        correct: "a multi-valued attribute takes a JSON array",
        rfc: "RFC 7643 §2.4",
        sent_by: &[OneLogin],
        others: "SailPoint",
    },
    Item {
        tolerance: Tolerance::ArrayForSingle,
        id: "array-for-single",
        accepts: "an array of one where a single value belongs: `title: [\"Guide\"]`",
        read_as: "that value",
        correct: "a single-valued attribute takes no array",
        rfc: "RFC 7643 §2.4",
        sent_by: &[Entra],
        others: "",
    },
    Item {
        tolerance: Tolerance::JsonInString,
        id: "json-in-string",
        accepts: "a complex value as JSON inside a string: `\"{\\\"value\\\": \\\"admin\\\"}\"`",
        read_as: "the value that the string holds",
        correct: "a complex value is a JSON object, not a string holding one",
        rfc: "RFC 7643 §2.3.8",
        sent_by: &[Entra],
        others: "",
    },
    Item {
        tolerance: Tolerance::ExtensionAtTop,
        id: "extension-at-top",
        accepts: "an extension's attribute without its schema's URN: `department`, where one extension alone has it",
        read_as: "the extension's attribute",
        correct: "an extension's attribute belongs in the object under its schema URN, and has it before its name in paths and filters",
        rfc: "RFC 7643 §3.3",
        sent_by: &[OneLogin, JumpCloud],
        others: "",
    },
    Item {
        tolerance: Tolerance::EmptyString,
        id: "empty-string",
        accepts: "`\"\"` where it stands for no value",
        read_as: "null: the attribute is unset",
        correct: "an empty string is no value; leave the attribute out or send null",
        rfc: "RFC 7643 §2.5",
        sent_by: &[Okta, Entra, OneLogin, Ping, JumpCloud, Google],
        others: "",
    },
    Item {
        tolerance: Tolerance::Unknown,
        id: "unknown",
        accepts: "an attribute or schema that the server does not know, as a key or as the `path` of a PATCH operation",
        read_as: "nothing: it is passed over, and the rest is done",
        correct: "the schema has no such attribute; GET /Schemas lists what there is",
        rfc: "RFC 7643 §3",
        sent_by: &[Okta, Entra, OneLogin, Ping, JumpCloud, Google],
        others: "",
    },
    Item {
        tolerance: Tolerance::UnquotedLiteral,
        id: "unquoted-literal",
        accepts: "a string without quotes in a filter: `userName eq john`",
        read_as: "the string",
        correct: "a string in a filter needs double quotes: userName eq \"john\"",
        rfc: "RFC 7644 §3.4.2.2",
        sent_by: &[Entra],
        others: "authentik",
    },
    Item {
        tolerance: Tolerance::MissingSchemas,
        id: "missing-schemas",
        accepts: "`schemas` without the URN of the message or of the resource's schema",
        read_as: "a message or resource of the type that the endpoint takes",
        correct: "`schemas` must list the URN of the message, or of the resource's schema",
        rfc: "RFC 7643 §3",
        sent_by: &[OneLogin, JumpCloud],
        others: "scripts",
    },
    Item {
        tolerance: Tolerance::BadPageNumber,
        id: "bad-page-number",
        accepts: "`startIndex` or `count` that is no integer",
        read_as: "the default",
        correct: "startIndex and count take integers",
        rfc: "RFC 7644 §3.4.2.4",
        sent_by: &[],
        others: "scripts",
    },
    Item {
        tolerance: Tolerance::LegacyUrn,
        id: "legacy-urn",
        accepts: "a schema URN of SCIM 1.1 or of a draft: `urn:scim:schemas:core:1.0`, `urn:scim:schemas:extension:enterprise:1.0`",
        read_as: "the schema of RFC 7643 that took its place",
        correct: "URNs of SCIM 2.0 begin with urn:ietf:params:scim:schemas: as in urn:ietf:params:scim:schemas:core:2.0:User",
        rfc: "RFC 7643 §10.3.1",
        sent_by: &[OneLogin],
        others: "clients of SCIM 1.1",
    },
    Item {
        tolerance: Tolerance::ReadOnlyEcho,
        id: "read-only-echo",
        accepts: "a read-only attribute in the value of a PATCH without path: `{\"id\": …, \"displayName\": …}`",
        read_as: "nothing: it is passed over, as RFC 7644 §3.5.1 wants it of PUT",
        correct: "the server sets this attribute; leave it out of a PATCH",
        rfc: "RFC 7644 §3.5.2",
        sent_by: &[Okta],
        others: "",
    },
    Item {
        tolerance: Tolerance::UrlPath,
        id: "url-path",
        accepts: "a slash at the end, two in a row, an endpoint in another case or in its SCIM 1.1 form: `/users/`",
        read_as: "the endpoint; there is never a redirect, which would lose a body",
        correct: "write the endpoint as /ResourceTypes tells, without further slashes: /Users",
        rfc: "RFC 7644 §3.2",
        sent_by: &[OneLogin],
        others: "scripts, proxies",
    },
    Item {
        tolerance: Tolerance::QueryForm,
        id: "query-form",
        accepts: "`?` or `&` left over in a query, or a parameter's name in another case: `?filter=…&`",
        read_as: "the same query without it",
        correct: "a query is name=value pairs with one & between them, and names as in the RFC: filter, startIndex, count",
        rfc: "RFC 7644 §3.4.2",
        sent_by: &[OneLogin],
        others: "",
    },
    Item {
        tolerance: Tolerance::PlusForSpace,
        id: "plus-for-space",
        accepts: "`+` for a space in a query: `filter=userName+eq+…`",
        read_as: "a space, as in forms; a plus itself is %2B",
        correct: "write a space as %20, and a plus as %2B",
        rfc: "RFC 7644 §3.4.2.2, RFC 3986 §2.1",
        sent_by: &[Entra, OneLogin, Ping, Google],
        others: "clients in Java and .NET",
    },
    Item {
        tolerance: Tolerance::MediaType,
        id: "media-type",
        accepts: "a body as application/json, or without Content-Type",
        read_as: "application/scim+json",
        correct: "send Content-Type: application/scim+json",
        rfc: "RFC 7644 §3.1, §8.1",
        sent_by: &[OneLogin, Ping, JumpCloud, Google],
        others: "curl, SailPoint",
    },
];

impl Tolerance {
    /// All there is to know of it.
    pub fn item(self) -> &'static Item {
        &ITEMS[self as usize]
    }

    /// Its name in settings, errors, the log and reports.
    pub fn id(self) -> &'static str {
        self.item().id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_items_as_json_does() {
        for (index, item) in ITEMS.iter().enumerate() {
            assert_eq!(item.tolerance as usize, index, "{}", item.id);
            assert_eq!(serde_json::to_value(item.tolerance).unwrap(), item.id);
        }
    }
}
