//! What checks assert of answers, each once: a list is well formed, an error is, a resource is what was sent.

use std::collections::BTreeSet;

use serde_json::Value;

use super::exchange::{Answer, Made, Played, Stop};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// The enterprise extension (RFC 7643 §4.3).
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Attributes that a server assigns or keeps to itself, whatever was sent.
const ASSIGNED: [&str; 5] = ["schemas", "id", "meta", "groups", "password"];

impl Answer {
    /// A failure with this answer as its evidence.
    pub(super) fn fail(&self, message: impl Into<String>) -> Stop {
        Stop::failed(message, &self.exchange)
    }

    /// One of these statuses.
    pub(super) fn status(&self, expected: &[u16]) -> Result<&Self, Stop> {
        if expected.contains(&self.code()) {
            return Ok(self);
        }
        let expected = expected.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        Err(self.fail(format!("expected status {expected}, found {}", self.code())))
    }

    /// The status of a PATCH that was applied (RFC 7644 §3.5.2).
    pub(super) fn patched(&self) -> Result<&Self, Stop> {
        self.status(&[200, 204])
    }

    /// 200 and a JSON object.
    pub(super) fn resource(&self) -> Result<&Self, Stop> {
        match self.status(&[200])?.json.is_object() {
            true => Ok(self),
            false => Err(self.fail("expected a JSON object as the body")),
        }
    }

    /// The value at a JSON pointer: `/name/givenName`. Attribute names have no case (RFC 7643 §2.1).
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        at(&self.json, pointer)
    }

    /// The value there is exactly this one, type and all.
    pub(super) fn is(&self, pointer: &str, expected: impl Into<Value>) -> Result<&Self, Stop> {
        let (expected, found) = (expected.into(), self.at(pointer));
        match found {
            Some(found) if *found == expected => Ok(self),
            _ => Err(self.fail(format!("expected {} to be {expected}, found {}", dotted(pointer), shown(found)))),
        }
    }

    /// The name there is this one, in any case.
    pub(super) fn is_name(&self, pointer: &str, expected: &str) -> Result<&Self, Stop> {
        let found = self.at(pointer);
        match found.and_then(Value::as_str) {
            Some(found) if found.eq_ignore_ascii_case(expected) => Ok(self),
            _ => Err(self.fail(format!("expected {} to be \"{expected}\", found {}", dotted(pointer), shown(found)))),
        }
    }

    /// There is something there.
    pub(super) fn has(&self, pointer: &str) -> Result<&Self, Stop> {
        match self.at(pointer) {
            Some(value) if !is_unset(value) => Ok(self),
            _ => Err(self.fail(format!("expected {}, which is missing", dotted(pointer)))),
        }
    }

    /// There is nothing there: null and an empty array are the same as missing (RFC 7643 §2.5).
    pub(super) fn lacks(&self, pointer: &str) -> Result<&Self, Stop> {
        match self.at(pointer) {
            Some(value) if !is_unset(value) => {
                Err(self.fail(format!("expected no {}, found {}", dotted(pointer), shown(Some(value)))))
            }
            _ => Ok(self),
        }
    }

    /// Everything that was sent is there as it was sent, except for what the server assigns.
    pub(super) fn keeps(&self, sent: &Value) -> Result<&Self, Stop> {
        match kept(sent, &self.json, "") {
            Ok(()) => Ok(self),
            Err(message) => Err(self.fail(message)),
        }
    }

    /// A multi-valued attribute's values, in no order, are these.
    pub(super) fn values_are(&self, pointer: &str, expected: &[&str]) -> Result<&Self, Stop> {
        let mut found: Vec<&str> = values(self.at(pointer)).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        match found == expected {
            true => Ok(self),
            false => {
                let name = dotted(pointer);
                Err(self.fail(format!("expected the values of {name} to be {expected:?}, found {found:?}")))
            }
        }
    }

    /// A group has these members and no others.
    pub(super) fn members_are(&self, expected: &[&Made]) -> Result<&Self, Stop> {
        self.resource()?;
        let found: Vec<&str> = values(self.at("/members")).collect();
        let ids: BTreeSet<&str> = expected.iter().map(|made| made.id.as_str()).collect();
        let there: BTreeSet<&str> = found.iter().copied().collect();
        let (lost, extra) = (ids.difference(&there).count(), there.difference(&ids).count());
        if lost > 0 || extra > 0 {
            let (expected, found) = (expected.len(), found.len());
            return Err(self.fail(format!(
                "expected {expected} members, found {found}: {lost} are missing, {extra} should not be there"
            )));
        }
        match found.len() == there.len() {
            true => Ok(self),
            false => Err(self.fail("expected each member once, found one of them repeated")),
        }
    }

    /// A well-formed list (RFC 7644 §3.4.2).
    pub(super) fn list(&self) -> Result<List<'_>, Stop> {
        self.resource()?;
        self.is_message(LIST)?;
        let Some(total) = self.json["totalResults"].as_u64() else {
            let found = shown(self.json.get("totalResults"));
            return Err(self.fail(format!("expected totalResults to be an integer without quotes, found {found}")));
        };
        let resources = match self.json.get("Resources") {
            Some(Value::Array(resources)) => resources.as_slice(),
            // It may be left out where nothing is found.
            None if total == 0 || self.json["itemsPerPage"] == 0 => &[],
            found => return Err(self.fail(format!("expected Resources to be an array, found {}", shown(found)))),
        };
        for name in ["startIndex", "itemsPerPage"] {
            // REQUIRED for partial results only, but then a number.
            if self.json.get(name).is_some_and(|value| !value.is_u64()) {
                let found = shown(self.json.get(name));
                return Err(self.fail(format!("expected {name} to be an integer without quotes, found {found}")));
            }
        }
        Ok(List { answer: self, total, resources })
    }

    /// A list of exactly these.
    pub(super) fn found(&self, expected: &[&Made]) -> Result<List<'_>, Stop> {
        let list = self.list()?;
        let ids: BTreeSet<&str> = expected.iter().map(|made| made.id.as_str()).collect();
        let found: BTreeSet<&str> = list.ids().collect();
        if ids != found || list.resources.len() != expected.len() {
            let (expected, shown) = (named(expected), list.resources.len());
            return Err(self.fail(format!("expected to find {expected}; the list has {shown} resources")));
        }
        list.total_is(expected.len())
    }

    /// A well-formed SCIM Error with one of these statuses (RFC 7644 §3.12).
    pub(super) fn error(&self, expected: &[u16]) -> Result<&Self, Stop> {
        self.status(expected)?;
        if !self.json.is_object() {
            return Err(self.fail("expected a SCIM Error as the body, found no JSON object"));
        }
        self.is_message(ERROR)?;
        match self.json.get("status") {
            Some(Value::String(status)) if *status == self.code().to_string() => Ok(self),
            found => {
                let code = self.code();
                Err(self.fail(format!("expected `status` to be the string \"{code}\", found {}", shown(found))))
            }
        }
    }

    /// An error of one of these types.
    pub(super) fn error_type(&self, status: u16, types: &[&str]) -> Result<&Self, Stop> {
        self.error(&[status])?;
        match self.json.get("scimType").and_then(Value::as_str) {
            Some(found) if types.contains(&found) => Ok(self),
            _ => {
                let (types, found) = (types.join(" or "), shown(self.json.get("scimType")));
                Err(self.fail(format!("expected scimType {types}, found {found}")))
            }
        }
    }

    fn is_message(&self, urn: &str) -> Result<&Self, Stop> {
        let schemas = self.json["schemas"].as_array().into_iter().flatten();
        match schemas.filter_map(Value::as_str).any(|schema| schema.eq_ignore_ascii_case(urn)) {
            true => Ok(self),
            false => Err(self.fail(format!("expected `schemas` to list {urn}"))),
        }
    }
}

/// A well-formed list.
pub(super) struct List<'a> {
    answer: &'a Answer,
    pub(super) total: u64,
    pub(super) resources: &'a [Value],
}

impl List<'_> {
    /// The ids in it.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter_map(|resource| resource["id"].as_str())
    }

    /// It counts so many.
    pub(super) fn total_is(self, expected: usize) -> Result<Self, Stop> {
        match usize::try_from(self.total).is_ok_and(|total| total == expected) {
            true => Ok(self),
            false => Err(self.answer.fail(format!("expected totalResults {expected}, found {}", self.total))),
        }
    }

    /// It shows so many.
    pub(super) fn shows(self, expected: usize) -> Result<Self, Stop> {
        match self.resources.len() == expected {
            true => Ok(self),
            false => {
                let found = self.resources.len();
                Err(self.answer.fail(format!("expected {expected} resources in the list, found {found}")))
            }
        }
    }
}

/// A condition that no other assertion has.
pub(super) fn ensure(holds: bool, answer: &Answer, message: &str) -> Played {
    if holds { Ok(()) } else { Err(answer.fail(message)) }
}

/// `value` of each element, or the element itself where it is simple.
pub(super) fn values(array: Option<&Value>) -> impl Iterator<Item = &str> {
    array.and_then(Value::as_array).into_iter().flatten().filter_map(|element| match element {
        Value::String(text) => Some(text.as_str()),
        element => at(element, "/value").and_then(Value::as_str),
    })
}

fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(value, |value, key| match value {
        Value::Object(object) => object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value),
        Value::Array(array) => array.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Null, an empty array, and an object of nothing but these.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(is_unset),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn kept(sent: &Value, found: &Value, place: &str) -> Result<(), String> {
    let lost = |found: &Value| Err(format!("{place} was sent as {sent}, and is {}", shown(Some(found))));
    match (sent, found) {
        (sent, found) if is_unset(sent) && is_unset(found) => Ok(()),
        (Value::Object(sent), Value::Object(_)) => {
            for (name, value) in sent {
                if place.is_empty() && ASSIGNED.contains(&name.as_str()) {
                    continue;
                }
                let below = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                // Not by pointer: a URN is one key.
                let found = at(found, &format!("/{name}")).unwrap_or(&Value::Null);
                kept(value, found, &below)?;
            }
            Ok(())
        }
        // Elements have no order (RFC 7643 §2.4).
        (Value::Array(sent), Value::Array(found)) => {
            let missing = sent.iter().find(|value| !found.iter().any(|found| kept(value, found, place).is_ok()));
            match missing {
                None if found.len() == sent.len() => Ok(()),
                None => Err(format!("{place} was sent with {} values, and has {}", sent.len(), found.len())),
                Some(value) => Err(format!("{place} was sent with {value}, which is not there")),
            }
        }
        (sent, found) if sent == found => Ok(()),
        (_, found) => lost(found),
    }
}

/// `/name/givenName` as people write it: `name.givenName`.
fn dotted(pointer: &str) -> String {
    match pointer.strip_prefix('/').and_then(|path| path.strip_prefix(ENTERPRISE)) {
        Some(path) => format!("{ENTERPRISE}{}", path.replacen('/', ":", 1).replace('/', ".")),
        None => pointer.trim_start_matches('/').replace('/', "."),
    }
}

/// A value in a message, shortened.
pub(super) fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn named(expected: &[&Made]) -> String {
    match expected {
        [] => "nothing".to_owned(),
        [one] => format!("\"{}\" alone", one.name),
        many => format!("{} resources", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use super::*;
    use crate::check::exchange::Exchange;

    fn answer(status: u16, json: Value) -> Answer {
        Answer { exchange: Rc::new(Exchange { status, ..Exchange::default() }), json }
    }

    #[track_caller]
    fn check(result: Result<impl Sized, Stop>, expect: &str) {
        let message = match result {
            Ok(_) => String::new(),
            Err(Stop::Failed(failure)) => failure.message,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(message, expect);
    }

    #[test]
    fn what_was_sent() {
        let sent =
            json!({ "userName": "a", "name": { "givenName": "A" }, "emails": [{ "value": "x" }], "title": null });
        let with = |emails: Value| {
            answer(200, json!({ "username": "a", "name": { "givenName": "A", "familyName": "B" }, "emails": emails }))
        };
        check(with(json!([{ "value": "x", "type": "work" }])).keeps(&sent), "");
        check(
            with(json!([{ "value": "y" }])).keeps(&sent),
            "emails was sent with {\"value\":\"x\"}, which is not there",
        );
        check(
            with(json!([{ "value": "x" }, { "value": "y" }])).keeps(&sent),
            "emails was sent with 1 values, and has 2",
        );
        check(answer(200, json!({ "userName": "b" })).keeps(&sent), "userName was sent as \"a\", and is \"b\"");
        let urn = json!({ ENTERPRISE: { "department": "x" } });
        check(answer(200, urn.clone()).keeps(&urn), "");
        check(answer(200, urn).is(&format!("/{ENTERPRISE}/department"), "x"), "");
    }

    #[test]
    fn lists() {
        let list = |total: Value| {
            answer(200, json!({ "schemas": [LIST], "totalResults": total, "Resources": [{ "id": "1" }] }))
        };
        let one = Made { endpoint: "/Users", id: "1".to_owned(), name: "n".to_owned() };
        check(list(json!(1)).found(&[&one]), "");
        check(list(json!("1")).list(), "expected totalResults to be an integer without quotes, found \"1\"");
        check(list(json!(7)).found(&[&one]), "expected totalResults 1, found 7");
        check(list(json!(1)).found(&[]), "expected to find nothing; the list has 1 resources");
        check(answer(404, Value::Null).list(), "expected status 200, found 404");
    }

    #[test]
    fn errors() {
        let error =
            |status: Value| answer(409, json!({ "schemas": [ERROR], "status": status, "scimType": "uniqueness" }));
        check(error(json!("409")).error_type(409, &["uniqueness"]), "");
        check(error(json!(409)).error(&[409]), "expected `status` to be the string \"409\", found 409");
        check(error(json!("409")).error_type(409, &["tooMany"]), "expected scimType tooMany, found \"uniqueness\"");
        check(answer(409, Value::Null).error(&[409]), "expected a SCIM Error as the body, found no JSON object");
    }

    #[test]
    fn members() {
        let group = |ids: &[&str]| {
            answer(200, json!({ "members": ids.iter().map(|id| json!({ "value": id })).collect::<Vec<_>>() }))
        };
        let one = Made { endpoint: "/Users", id: "1".to_owned(), name: "n".to_owned() };
        check(group(&["1"]).members_are(&[&one]), "");
        check(group(&[]).members_are(&[&one]), "expected 1 members, found 0: 1 are missing, 0 should not be there");
        check(group(&["1", "1"]).members_are(&[&one]), "expected each member once, found one of them repeated");
        check(answer(200, json!({})).members_are(&[]), "");
    }
}
