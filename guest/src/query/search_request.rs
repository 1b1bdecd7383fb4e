//! The body of `POST /.search` (RFC 7644 §3.4.3): the parameters of a query as JSON.

use serde_json::Value;

use super::Query;
use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError, excerpt};

/// The URN of the message.
const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

impl Query {
    /// The parameters in a SearchRequest. Null is absent; an empty `cursor` asks for the first page (RFC 9865 §3).
    pub fn from_search_request(body: &Value, compat: &mut Compat) -> Result<Self> {
        let Value::Object(members) = body else {
            return Err(syntax("the body must be a JSON object: {\"schemas\": […], \"filter\": \"…\", \"count\": 10}"));
        };
        let mut query = Self::default();
        let mut named = false;
        for (name, value) in members {
            if name.eq_ignore_ascii_case("schemas") {
                check_schemas(value)?;
                named = true;
                continue;
            }
            let Some((_, parameter)) = query.parameter(name) else {
                compat.accept(Tolerance::Unknown, &excerpt(name))?;
                continue;
            };
            let text = match name.to_ascii_lowercase().as_str() {
                "attributes" | "excludedattributes" => names(name, value, compat)?,
                "startindex" | "count" => integer(name, value, compat)?,
                _ => string(name, value)?,
            };
            // As in a URL, the first of a name counts and an empty one is absent.
            let empty = text.as_ref().is_none_or(|text| text.trim().is_empty());
            if parameter.is_none() && (!empty || name.eq_ignore_ascii_case("cursor")) {
                *parameter = text;
            }
        }
        if !named {
            compat.accept(Tolerance::MissingSchemas, "schemas")?;
        }
        Ok(query)
    }
}

/// Another message than the one that belongs here is a mistake of the URL or of the body.
fn check_schemas(value: &Value) -> Result<()> {
    let lists = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST));
    match value {
        Value::Array(urns) if urns.iter().any(lists) => Ok(()),
        _ => Err(syntax(&format!("schemas: it must list {SEARCH_REQUEST}"))),
    }
}

/// An array of attribute names, joined as in a URL.
fn names(name: &str, value: &Value, compat: &mut Compat) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(one) => {
            compat.accept(Tolerance::SingleForArray, name)?;
            Ok(Some(one.clone()))
        }
        Value::Array(all) => {
            let all = all.iter().map(|one| one.as_str().ok_or_else(|| wrong(name, "an array of attribute names", one)));
            Ok(Some(all.collect::<Result<Vec<_>>>()?.join(",")))
        }
        other => Err(wrong(name, "an array of attribute names", other)),
    }
}

fn integer(name: &str, value: &Value, compat: &mut Compat) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => {
            compat.accept(Tolerance::NumberString, name)?;
            Ok(Some(text.clone()))
        }
        other => Err(wrong(name, "an integer", other)),
    }
}

fn string(name: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(wrong(name, "a string", other)),
    }
}

fn wrong(name: &str, expected: &str, found: &Value) -> ScimError {
    syntax(&format!("{name}: expected {expected}, found {}", excerpt(found)))
}

fn syntax(detail: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: &Value) -> Result<Query> {
        Query::from_search_request(body, &mut Compat::default())
    }

    fn same(body: &Value, url: &str) {
        assert_eq!(parse(body), Query::parse(url, &mut Compat::default()), "{body}");
    }

    fn reject(body: &Value, detail: &str) {
        let error = parse(body).expect_err("must be refused");
        assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidSyntax, detail));
    }

    #[test]
    fn a_body_means_what_the_url_means() {
        let all = json!({
            "schemas": [SEARCH_REQUEST],
            "attributes": ["displayName", "userName"],
            "filter": "displayName sw \"smith\"",
            "sortBy": "userName",
            "sortOrder": "descending",
            "startIndex": 1,
            "count": 10,
        });
        same(
            &all,
            "attributes=displayName,userName&filter=displayName+sw+%22smith%22&sortBy=userName&sortOrder=descending\
             &startIndex=1&count=10",
        );
        same(&json!({ "schemas": [SEARCH_REQUEST] }), "");
        same(&json!({ "excludedAttributes": ["members"], "cursor": "" }), "excludedAttributes=members&cursor");
        same(&json!({ "startIndex": "2", "COUNT": -1 }), "startIndex=2&count=-1");
        same(&json!({ "filter": null, "cursor": null, "attributes": [], "sortBy": "", "other": 1 }), "");
    }

    #[test]
    fn refuses_other_shapes() {
        reject(&json!([]), "the body must be a JSON object: {\"schemas\": […], \"filter\": \"…\", \"count\": 10}");
        reject(&json!({ "schemas": ["urn:x"] }), &format!("schemas: it must list {SEARCH_REQUEST}"));
        reject(&json!({ "filter": 1 }), "filter: expected a string, found 1");
        reject(&json!({ "count": true }), "count: expected an integer, found true");
        reject(&json!({ "attributes": [1] }), "attributes: expected an array of attribute names, found 1");
    }

    #[test]
    fn a_strict_profile_wants_it_to_the_letter() {
        let strict = |tolerance, body: &Value| {
            Query::from_search_request(body, &mut Compat::refusing([tolerance])).expect_err("must be refused")
        };
        strict(Tolerance::MissingSchemas, &json!({ "count": 1 }));
        strict(Tolerance::Unknown, &json!({ "schemas": [SEARCH_REQUEST], "filters": "" }));
        strict(Tolerance::NumberString, &json!({ "schemas": [SEARCH_REQUEST], "count": "1" }));
        strict(Tolerance::SingleForArray, &json!({ "schemas": [SEARCH_REQUEST], "attributes": "userName" }));
    }
}
