//! The piece of a request that a report shows as an example: what stands at a place in its body.

use serde_json::Value;

use crate::error::excerpt;
use crate::schema::{Attribute, Registry, ResourceType, Returned};

/// Names of attributes that are never returned, in lower case: what is near one of these is never shown either.
pub fn never_shown(registry: &Registry) -> Vec<String> {
    fn add(attributes: &[Attribute], names: &mut Vec<String>) {
        for attribute in attributes {
            if attribute.returned == Returned::Never {
                names.push(attribute.name.to_ascii_lowercase());
            }
            add(&attribute.sub_attributes, names);
        }
    }
    let mut names = Vec::new();
    for schema in registry.resource_types.iter().flat_map(ResourceType::schemas) {
        add(&schema.attributes, &mut names);
    }
    names
}

/// What stands at `place` in the body, as its first characters; `None` where there is nothing, and where it or what leads
/// to it has to do with a secret.
pub fn piece(body: &Value, place: &str, secret: &[String]) -> Option<String> {
    let (found, operation) = find(body, place, None)?;
    let shown = found.to_string();
    let path = operation.and_then(|operation| operation.get("path")).map(Value::to_string).unwrap_or_default();
    let near = format!("{place} {path} {shown}").to_ascii_lowercase();
    match secret.iter().any(|name| near.contains(name.as_str())) {
        true => None,
        false => Some(excerpt(shown)),
    }
}

/// What `place` leads to, and the PATCH operation that it goes through. Keys may hold dots and colons themselves (URNs), so
/// the longest key that fits is taken.
fn find<'v>(value: &'v Value, place: &str, operation: Option<&'v Value>) -> Option<(&'v Value, Option<&'v Value>)> {
    let place = place.strip_prefix(['.', ':']).unwrap_or(place);
    if place.is_empty() {
        return Some((value, operation));
    }
    match value {
        Value::Array(values) => {
            let (index, rest) = place.strip_prefix('[')?.split_once(']')?;
            find(values.get(index.parse::<usize>().ok()?)?, rest, operation)
        }
        Value::Object(object) => {
            let operation = if object.contains_key("op") { Some(value) } else { operation };
            let mut keys: Vec<_> =
                object.iter().filter_map(|(key, value)| Some((key, value, rest(place, key)?))).collect();
            keys.sort_by_key(|(key, ..)| std::cmp::Reverse(key.len()));
            keys.into_iter().find_map(|(_, value, rest)| find(value, rest, operation))
        }
        _ => None,
    }
}

/// What follows `key` at the start of `place`.
fn rest<'p>(place: &'p str, key: &str) -> Option<&'p str> {
    let (head, rest) = place.split_at_checked(key.len())?;
    let ends = rest.is_empty() || rest.starts_with(['.', ':', '[']);
    (ends && head.eq_ignore_ascii_case(key)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::REGISTRY;

    fn check(body: &Value, place: &str, expect: Option<&str>) {
        assert_eq!(piece(body, place, &never_shown(&REGISTRY)).as_deref(), expect, "{place}");
    }

    #[test]
    fn finds_what_a_place_names() {
        let body =
            json!({"Operations": [{"op": "Add", "path": "active", "value": {"urn:a:2.0:User:department": "R"}}]});
        check(&body, "Operations[0].op", Some("\"Add\""));
        check(&body, "operations[0].value.urn:a:2.0:User:department", Some("\"R\""));
        check(&body, "Operations[1].op", None);
        check(&body, "filter: at character 3", None);
        let body = json!({"urn:a:2.0:User": {"department": ""}, "emails": {"value": "x"}});
        check(&body, "urn:a:2.0:User:department", Some("\"\""));
        check(&body, "emails", Some("{\"value\":\"x\"}"));
    }

    #[test]
    fn secrets_are_not_shown() {
        check(&json!({"password": ["secret"]}), "password", None);
        check(
            &json!({"Operations": [{"op": "Replace", "path": "Password", "value": ["s"]}]}),
            "Operations[0].value",
            None,
        );
        check(&json!({"Operations": [{"op": "add", "value": [{"password": "s"}]}]}), "Operations[0].value", None);
        check(&json!({"roles": ["{\"password\": \"s\"}"]}), "roles[0]", None);
    }
}
