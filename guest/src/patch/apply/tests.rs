//! Documents before and after.

use serde_json::json;

use super::*;
use crate::patch::parse;
use crate::schema::REGISTRY;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn run(document: &Value, operations: &Value, compat: &mut Compat) -> Result<(Value, bool)> {
    let ty = REGISTRY.by_name("User").expect("built in");
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let operations = parse(&body, ty, compat)?;
    let mut object = document.as_object().expect("an object").clone();
    match apply(ty, &mut object, &operations, compat) {
        Ok(applied) => Ok((Value::Object(object), applied.changed)),
        Err(error) => {
            assert_eq!(Value::Object(object), *document, "a failure leaves the document alone");
            Err(error)
        }
    }
}

fn check(document: &Value, operations: &Value, expect: &Value) {
    let (after, changed) = run(document, operations, &mut Compat::default())
        .unwrap_or_else(|error| panic!("{operations} on {document}: {error}"));
    assert_eq!(after, *expect, "{operations} on {document}");
    assert_eq!(changed, *document != *expect, "{operations} on {document}");
}

fn fails(document: &Value, operations: &Value, kind: ErrorKind, expect: &str) {
    let error = run(document, operations, &mut Compat::default()).expect_err(&operations.to_string());
    assert_eq!((error.detail.as_str(), error.kind), (expect, kind), "{operations} on {document}");
}

#[test]
fn add() {
    let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    check(&json!({}), &add("title", json!("T")), &json!({"title": "T"}));
    check(&json!({"title": "S"}), &add("title", json!("T")), &json!({"title": "T"}));
    check(&json!({"title": "T"}), &add("title", json!("")), &json!({}));
    check(
        &json!({"name": {"givenName": "G"}}),
        &add("name", json!({"familyName": "F"})),
        &json!({"name": {"givenName": "G", "familyName": "F"}}),
    );
    check(&json!({}), &add("name.givenName", json!("G")), &json!({"name": {"givenName": "G"}}));
    check(
        &json!({"emails": [{"value": "a"}]}),
        &add("emails", json!([{"value": "b"}, {"value": "a"}])),
        &json!({"emails": [{"value": "a"}, {"value": "b"}]}),
    );
    check(&json!({"emails": [{"value": "a"}]}), &add("emails", json!([])), &json!({"emails": [{"value": "a"}]}));
    check(&json!({"emails": [{"value": "a"}]}), &add("emails", json!(null)), &json!({"emails": [{"value": "a"}]}));
    let address = json!({"addresses": [{"type": "work", "locality": "L"}]});
    check(&address, &add("addresses", address["addresses"].clone()), &address);
    // The same type and value is the same value (RFC 7643 §2.4).
    check(
        &json!({"emails": [{"value": "a", "type": "work"}]}),
        &add("emails", json!([{"value": "a", "type": "work", "display": "A"}, {"value": "a", "type": "home"}])),
        &json!({"emails": [{"value": "a", "type": "work", "display": "A"}, {"value": "a", "type": "home"}]}),
    );
    check(
        &json!({}),
        &json!([{"op": "add", "value": {"emails": [{"value": "b", "type": "home"}], "nickName": "Babs"}}]),
        &json!({"emails": [{"value": "b", "type": "home"}], "nickName": "Babs"}),
    );
}

#[test]
fn replace() {
    let replace = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    check(&json!({}), &replace("title", json!("T")), &json!({"title": "T"}));
    check(&json!({"title": "T", "nickName": "N"}), &replace("title", json!(null)), &json!({"nickName": "N"}));
    check(
        &json!({"name": {"givenName": "G", "familyName": "E"}}),
        &replace("name", json!({"familyName": "F", "middleName": null})),
        &json!({"name": {"givenName": "G", "familyName": "F"}}),
    );
    check(&json!({"name": {"givenName": "G"}}), &replace("name", json!({"givenName": null})), &json!({}));
    check(&json!({"name": {"givenName": "G"}}), &replace("name", json!(null)), &json!({}));
    check(
        &json!({"emails": [{"value": "a"}, {"value": "b"}]}),
        &replace("emails", json!([{"value": "c"}])),
        &json!({"emails": [{"value": "c"}]}),
    );
    check(&json!({"emails": [{"value": "a"}]}), &replace("emails", json!([])), &json!({}));
    check(
        &json!({"emails": [{"value": "a", "type": "work", "display": "A"}, {"value": "b"}]}),
        &replace("emails[type eq \"WORK\"]", json!({"value": "c", "type": "work"})),
        &json!({"emails": [{"value": "c", "type": "work"}, {"value": "b"}]}),
    );
    check(
        &json!({"addresses": [{"type": "work", "locality": "L"}, {"type": "home"}]}),
        &replace("addresses[type eq \"work\"].streetAddress", json!("1010 Broadway Ave")),
        &json!({"addresses": [{"type": "work", "locality": "L", "streetAddress": "1010 Broadway Ave"}, {"type": "home"}]}),
    );
    check(
        &json!({"emails": [{"value": "a"}, {"value": "b"}]}),
        &replace("emails.type", json!("work")),
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b", "type": "work"}]}),
    );
    check(&json!({}), &replace("emails.value", json!("a")), &json!({"emails": [{"value": "a"}]}));
    check(&json!({"active": true}), &replace("active", json!("False")), &json!({"active": false}));
}

#[test]
fn remove() {
    let remove = |path: &str| json!([{"op": "remove", "path": path}]);
    check(&json!({"title": "T"}), &remove("title"), &json!({}));
    check(&json!({}), &remove("title"), &json!({}));
    check(&json!({"name": {"givenName": "G"}}), &remove("name.givenName"), &json!({}));
    check(
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]}),
        &remove("emails[type eq \"work\" and value ew \"A\"]"),
        &json!({"emails": [{"value": "b"}]}),
    );
    check(&json!({"emails": [{"value": "a", "type": "work"}]}), &remove("emails[type eq \"work\"]"), &json!({}));
    check(
        &json!({"emails": [{"value": "a"}]}),
        &remove("emails[type eq \"work\"]"),
        &json!({"emails": [{"value": "a"}]}),
    );
    check(
        &json!({"emails": [{"value": "a", "display": "A"}, {"value": "b", "display": "B"}]}),
        &remove("emails[value eq \"a\"].display"),
        &json!({"emails": [{"value": "a"}, {"value": "b", "display": "B"}]}),
    );
    check(
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b", "display": "B"}]}),
        &remove("emails.value"),
        &json!({"emails": [{"display": "B"}]}),
    );
    check(
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]}),
        &json!([{"op": "Remove", "path": "emails", "value": [{"value": "a"}, {"value": "c"}]}]),
        &json!({"emails": [{"value": "b"}]}),
    );
    check(&json!({ENTERPRISE: {"department": "D"}}), &remove(&format!("{ENTERPRISE}:department")), &json!({}));
    check(
        &json!({"title": "T", ENTERPRISE: {"department": "D", "costCenter": "C"}}),
        &remove(ENTERPRISE),
        &json!({"title": "T"}),
    );
}

#[test]
fn what_is_required_stays() {
    let user = json!({"userName": "u"});
    fails(
        &user,
        &json!([{"op": "remove", "path": "userName"}]),
        ErrorKind::Mutability,
        "Operations[0]: userName is required for a User, so it cannot be removed; replace it instead",
    );
    fails(
        &user,
        &json!([{"op": "add", "path": "title", "value": "T"}, {"op": "replace", "path": "userName", "value": ""}]),
        ErrorKind::InvalidValue,
        "Operations[1]: userName is required for a User; give it a value",
    );
}

#[test]
fn a_filter_that_selects_nothing() {
    fails(
        &json!({}),
        &json!([{"op": "replace", "path": "emails[type ne \"work\"].value", "value": "a"}]),
        ErrorKind::NoTarget,
        "Operations[0]: no value of `emails` matches the filter in the path; add one with the path `emails`",
    );
    let operations = json!([{"op": "replace", "path": "emails[type eq \"Work\"].value", "value": "a"}]);
    check(&json!({}), &operations, &json!({"emails": [{"type": "Work", "value": "a"}]}));
    let error = run(&json!({}), &operations, &mut Compat::refusing([Tolerance::CreateFromFilter])).expect_err("strict");
    assert_eq!(error.kind, ErrorKind::NoTarget);
    check(
        &json!({}),
        &json!([{"op": "add", "path": "emails[type eq \"work\" and primary eq true]", "value": {"value": "a"}}]),
        &json!({"emails": [{"type": "work", "primary": true, "value": "a"}]}),
    );
    check(&json!({}), &json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": ""}]), &json!({}));
    check(
        &json!({"phoneNumbers": [{"type": "mobile", "value": "1"}, {"type": "work", "value": "2"}]}),
        &json!([{"op": "replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": null}]),
        &json!({"phoneNumbers": [{"type": "work", "value": "2"}]}),
    );
}

#[test]
fn entra_sends_labels_before_values() {
    let expect = json!({"emails": [{"type": "work", "primary": true, "value": "a"}]});
    check(
        &json!({}),
        &json!([
            {"op": "Add", "path": "emails[type eq \"work\"].primary", "value": "true"},
            {"op": "Add", "path": "emails[type eq \"work\"].type", "value": "work"},
            {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a"},
        ]),
        &expect,
    );
}

#[test]
fn one_value_is_primary() {
    let user = json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "type": "home"}]});
    let expect = json!({"emails": [{"value": "a", "primary": false}, {"value": "b", "type": "home", "primary": true}]});
    check(&user, &json!([{"op": "add", "path": "emails[value eq \"b\"].primary", "value": true}]), &expect);
    check(
        &user,
        &json!([{"op": "add", "path": "emails", "value": [{"value": "b", "type": "home", "primary": true}]}]),
        &expect,
    );
    check(
        &user,
        &json!([{"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "b", "type": "home", "primary": true}}]),
        &expect,
    );
    check(
        &user,
        &json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": {"value": "c", "primary": true}}]),
        &json!({"emails": [
            {"value": "a", "primary": false}, {"value": "b", "type": "home"}, {"type": "work", "value": "c", "primary": true},
        ]}),
    );
}

#[test]
fn a_manager_in_every_shape() {
    let path = format!("{ENTERPRISE}:manager");
    let before = json!({"title": "T", ENTERPRISE: {"manager": {"value": "m1", "$ref": "../Users/m1"}}});
    let after = json!({"title": "T", ENTERPRISE: {"manager": {"value": "m2"}}});
    let gone = json!({"title": "T"});
    for (value, expect) in [
        (json!("m2"), &after),
        (json!({"value": "m2"}), &after),
        (json!({"Value": "m2", "displayName": "M"}), &after),
        (json!([{"value": "m2"}]), &after),
        (json!({"value": "m1"}), &before),
        (json!(""), &gone),
        (json!(null), &gone),
        (json!([]), &gone),
        (json!({"value": null}), &gone),
    ] {
        check(&before, &json!([{"op": "Replace", "path": path, "value": value}]), expect);
    }
    check(
        &before,
        &json!([{"op": "replace", "path": path, "value": {"$ref": "../Users/m2", "value": "m2"}}]),
        &json!({"title": "T", ENTERPRISE: {"manager": {"value": "m2", "$ref": "../Users/m2"}}}),
    );
    check(&before, &json!([{"op": "remove", "path": path}]), &gone);
}

#[test]
fn immutable_values_are_set_once() {
    let mut ty = REGISTRY.by_name("User").expect("built in").clone();
    for attribute in ty.schema.attributes.to_mut() {
        if attribute.name == "title" || attribute.name == "emails" {
            attribute.mutability = Mutability::Immutable;
        }
        if attribute.name == "phoneNumbers" {
            attribute.sub_attributes.to_mut()[0].mutability = Mutability::Immutable;
        }
    }
    let check = |document: Value, operation: Value, expect: Result<Value, &str>| {
        let body = json!({"Operations": [operation]});
        let mut compat = Compat::default();
        let operations = parse(&body, &ty, &mut compat).expect("parses");
        let mut object = document.as_object().expect("an object").clone();
        match (apply(&ty, &mut object, &operations, &mut compat), expect) {
            (Ok(_), Ok(expect)) => assert_eq!(Value::Object(object), expect, "{operation}"),
            (Err(error), Err(name)) => {
                assert_eq!(error.kind, ErrorKind::Mutability);
                assert_eq!(error.detail, format!("Operations[0]: {name} is immutable: once set, it keeps its value"));
            }
            (result, expect) => panic!("{operation}: {result:?}, {expect:?}"),
        }
    };
    let title = |value: &str| json!({"op": "replace", "path": "title", "value": value});
    check(json!({}), title("T"), Ok(json!({"title": "T"})));
    check(json!({"title": "T"}), title("T"), Ok(json!({"title": "T"})));
    check(json!({"title": "T"}), title("U"), Err("title"));
    check(json!({"title": "T"}), json!({"op": "remove", "path": "title"}), Err("title"));
    let emails = json!({"emails": [{"value": "a"}]});
    check(emails.clone(), json!({"op": "add", "path": "emails", "value": [{"value": "b"}]}), Err("emails"));
    check(emails.clone(), json!({"op": "add", "path": "emails", "value": [{"value": "a"}]}), Ok(emails));
    let phones = json!({"phoneNumbers": [{"value": "1", "type": "work"}]});
    check(
        phones.clone(),
        json!({"op": "replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "2"}),
        Err("phoneNumbers.value"),
    );
    check(
        phones.clone(),
        json!({"op": "add", "path": "phoneNumbers", "value": [{"value": "2"}]}),
        Ok(json!({"phoneNumbers": [{"value": "1", "type": "work"}, {"value": "2"}]})),
    );
    check(phones, json!({"op": "remove", "path": "phoneNumbers[value eq \"1\"]"}), Ok(json!({})));
}

#[test]
fn what_cancels_out_is_no_change() {
    check(
        &json!({"title": "T"}),
        &json!([{"op": "add", "path": "nickName", "value": "N"}, {"op": "remove", "path": "nickName"}]),
        &json!({"title": "T"}),
    );
    check(&json!({"title": "T"}), &json!([{"op": "replace", "path": "title", "value": "T"}]), &json!({"title": "T"}));
}
