//! What real identity providers send beside the RFC: each tolerance named, counted and switchable.
//!
//! A tolerance is applied where a request is decoded, never later. Decoding calls [`Compat::accept`] with the tolerance it
//! needs; the profile decides, and the log record of the request tells which were used.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, ScimError};

/// One departure from the RFCs that is accepted unless the profile says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// `op` in another case than lower: `Add` (Entra ID). RFC 7644 §3.5.2.
    OperationCase,
    /// The `method` of a bulk operation in another case than upper: `post`. RFC 7644 §3.7.
    MethodCase,
    /// A boolean as a string: `"True"` (Entra ID, Keycloak). RFC 7643 §2.3.2.
    BooleanString,
    /// A number as a string. RFC 7643 §2.3.3.
    NumberString,
    /// `remove` with path `members` and the values to remove in `value` (Entra ID, JumpCloud). RFC 7644 §3.5.2.2.
    RemoveByValue,
    /// `emails[type eq "work"].value` where no such element exists: it is created (Entra ID). RFC 7644 §3.5.2.3.
    CreateFromFilter,
    /// `"name.givenName"` or `"urn:…:User:department"` as a key (Entra ID). RFC 7644 §3.5.2.1.
    DottedKey,
    /// `manager` as a string, an array or `{"Value":…}` (Entra ID). RFC 7643 §4.3.
    ComplexShape,
    /// One value where an array belongs (OneLogin `emails`). RFC 7643 §2.4.
    SingleForArray,
    /// An array of one where a single value belongs. RFC 7643 §2.4.
    ArrayForSingle,
    /// A value of a complex attribute as JSON inside a string (Entra ID roles). RFC 7643 §2.3.8.
    JsonInString,
    /// An attribute of an extension at the top level: `department`. RFC 7643 §3.3.
    ExtensionAtTop,
    /// `""` or `null` where it stands for no value. RFC 7643 §2.5 allows null; `""` is the departure.
    EmptyString,
    /// An attribute or schema URN that the server does not know. RFC 7643 §3.
    Unknown,
    /// A literal in a filter without quotes: `userName eq john` (authentik). RFC 7644 §3.4.2.2.
    UnquotedLiteral,
    /// The `PatchOp` URN missing from a PATCH body. RFC 7644 §3.5.2.
    MissingSchemas,
    /// An integer query parameter that is no integer: the default is used. RFC 7644 §3.4.2.4.
    BadPageNumber,
}

impl Tolerance {
    /// What was accepted and what belongs there, for strict mode's error and the operator's report.
    pub fn describe(self) -> &'static str {
        match self {
            Self::OperationCase => "`op` must be lower case: add, replace or remove",
            Self::MethodCase => "`method` must be upper case: POST, PUT, PATCH or DELETE",
            Self::BooleanString => "a boolean must be true or false without quotes",
            Self::NumberString => "a number must not be in quotes",
            Self::RemoveByValue => "remove names values by a filter in `path`: members[value eq \"id\"]",
            Self::CreateFromFilter => "the filter matches no value; add one with `add` and the attribute as path",
            Self::DottedKey => "a key names one attribute; nest sub-attributes in objects",
            Self::ComplexShape => "a complex attribute takes a JSON object: {\"value\": …}",
            Self::SingleForArray => "a multi-valued attribute takes a JSON array",
            Self::ArrayForSingle => "a single-valued attribute takes no array",
            Self::JsonInString => "a complex value is a JSON object, not a string holding one",
            Self::ExtensionAtTop => "an extension's attribute belongs in the object under its schema URN",
            Self::EmptyString => "an empty string is no value; leave the attribute out or send null",
            Self::Unknown => "the schema has no such attribute; GET /Schemas lists what there is",
            Self::UnquotedLiteral => "a string in a filter needs double quotes: userName eq \"john\"",
            Self::MissingSchemas => "`schemas` must list the message's URN",
            Self::BadPageNumber => "startIndex and count take integers",
        }
    }
}

/// The profile of a request, and the tolerances that the request has used.
#[derive(Clone, Debug, Default)]
pub struct Compat {
    refused: BTreeSet<Tolerance>,
    used: BTreeSet<Tolerance>,
}

impl Compat {
    /// A profile that refuses the listed tolerances; the default refuses none.
    pub fn refusing(refused: impl IntoIterator<Item = Tolerance>) -> Self {
        Self { refused: refused.into_iter().collect(), used: BTreeSet::new() }
    }

    /// Note that the request needs `tolerance` at `place`; 400 invalidValue where the profile refuses it.
    pub fn accept(&mut self, tolerance: Tolerance, place: &str) -> Result<()> {
        if self.refused.contains(&tolerance) {
            return Err(ScimError::new(ErrorKind::InvalidValue, format!("{place}: {}", tolerance.describe())));
        }
        self.used.insert(tolerance);
        Ok(())
    }

    /// The tolerances used so far, in a fixed order.
    pub fn used(&self) -> impl Iterator<Item = Tolerance> + '_ {
        self.used.iter().copied()
    }
}
