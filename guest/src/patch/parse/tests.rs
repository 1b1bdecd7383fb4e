//! What a body becomes, and why others are refused.

use serde_json::json;

use super::*;
use crate::schema::REGISTRY;

fn ty(name: &str) -> &'static ResourceType {
    REGISTRY.by_name(name).expect("built in")
}

/// A form to compare with, one line an operation.
fn shown(operation: &Operation<'_>) -> String {
    let verb = format!("{:?}", operation.verb).to_lowercase();
    let value = operation.value.as_ref().map_or("-".to_owned(), Value::to_string);
    match &operation.place {
        Place::Extension(schema) => format!("{verb} {} {value}", schema.id),
        Place::Attribute(target) => format!("{verb} {} {value}", target.name()),
        Place::Values { target, sub, seed, .. } => {
            let sub = sub.map(|sub| format!(".{}", sub.name)).unwrap_or_default();
            let seed = seed.as_ref().map_or("-".to_owned(), |seed| Value::Object(seed.clone()).to_string());
            format!("{verb} {}[{seed}]{sub} {value}", target.name())
        }
        Place::Edges(EdgeEdit::RemoveWhere(_)) => format!("{verb} RemoveWhere"),
        Place::Edges(edit) => format!("{verb} {edit:?}"),
    }
}

fn body(operations: &Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

fn becomes(name: &str, operation: &Value, expect: &[&str]) {
    let operations = parse(&body(&json!([operation])), ty(name), &mut Compat::default())
        .unwrap_or_else(|error| panic!("{operation}: {error}"));
    assert_eq!(operations.iter().map(shown).collect::<Vec<_>>(), expect, "{operation}");
}

fn user(operation: &Value, expect: &[&str]) {
    becomes("User", operation, expect);
}

fn group(operation: &Value, expect: &[&str]) {
    becomes("Group", operation, expect);
}

fn refused(body: &Value, kind: ErrorKind, expect: &str) {
    let error = parse(body, ty("User"), &mut Compat::default()).expect_err(&body.to_string());
    assert_eq!((error.detail.as_str(), error.kind), (expect, kind), "{body}");
}

fn fails(operation: &Value, kind: ErrorKind, expect: &str) {
    refused(&body(&json!([operation])), kind, expect);
}

fn tolerates(operation: &Value, tolerance: Tolerance) {
    let body = body(&json!([operation]));
    let mut compat = Compat::default();
    parse(&body, ty("User"), &mut compat).unwrap_or_else(|error| panic!("{operation}: {error}"));
    assert!(compat.used().any(|used| used == tolerance), "{operation}");
    assert!(parse(&body, ty("User"), &mut Compat::refusing([tolerance])).is_err(), "{operation}");
}

#[test]
fn the_message_itself() {
    let operation = json!({"op": "replace", "path": "title", "value": "x"});
    let expect = ["replace title \"x\""];
    for body in [
        json!({"schemas": [PATCH_OP], "Operations": [operation]}),
        json!({"operations": [{"Op": "Replace", "Path": "Title", "Value": "x"}]}),
        json!({"Operations": operation}),
    ] {
        let operations = parse(&body, ty("User"), &mut Compat::default()).expect("tolerated");
        assert_eq!(operations.iter().map(shown).collect::<Vec<_>>(), expect, "{body}");
    }
    refused(&json!([]), ErrorKind::InvalidSyntax, "the body must be a JSON object with `schemas` and `Operations`");
    refused(
        &json!({"schemas": [PATCH_OP]}),
        ErrorKind::InvalidSyntax,
        "Operations: missing; a PATCH body lists its operations there",
    );
    refused(&body(&json!([])), ErrorKind::InvalidSyntax, "Operations: empty; a PATCH body has one operation or more");
    refused(&body(&json!("x")), ErrorKind::InvalidSyntax, "Operations: expected an array of operations");
    refused(
        &body(&json!([operation, 1])),
        ErrorKind::InvalidSyntax,
        "Operations[1]: expected an object with `op`, `path` and `value`",
    );
    refused(
        &body(&json!(vec![operation.clone(); 10_001])),
        ErrorKind::PayloadTooLarge,
        "Operations: 10001 operations and the most is 10000; send several requests",
    );
    let body = json!({"Operations": [operation]});
    assert!(parse(&body, ty("User"), &mut Compat::refusing([Tolerance::MissingSchemas])).is_err());
}

#[test]
fn verbs() {
    tolerates(&json!({"op": "Replace", "path": "title", "value": "x"}), Tolerance::OperationCase);
    fails(
        &json!({"op": "frobnicate", "path": "nickName", "value": "x"}),
        ErrorKind::InvalidSyntax,
        "Operations[0].op: found \"frobnicate\", expected \"add\", \"remove\" or \"replace\"",
    );
    fails(
        &json!({"op": "Replce", "path": "nickName", "value": "x"}),
        ErrorKind::InvalidSyntax,
        "Operations[0].op: found \"Replce\", expected \"add\", \"remove\" or \"replace\"; did you mean `replace`?",
    );
    fails(
        &json!({"path": "nickName"}),
        ErrorKind::InvalidSyntax,
        "Operations[0].op: missing; it is \"add\", \"remove\" or \"replace\"",
    );
}

#[test]
fn paths_of_every_form() {
    user(&json!({"op": "replace", "path": "NICKNAME", "value": "x"}), &["replace nickName \"x\""]);
    user(&json!({"op": "replace", "path": "name.GivenName", "value": "x"}), &["replace name.givenName \"x\""]);
    user(
        &json!({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:userName", "value": "x"}),
        &["replace userName \"x\""],
    );
    let manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
    user(&json!({"op": "Add", "path": manager, "value": "m1"}), &[&format!("add {manager} {{\"value\":\"m1\"}}")]);
    user(
        &json!({"op": "Replace", "path": manager, "value": {"$ref": "../Users/m1", "Value": "m1", "displayName": "M"}}),
        &[&format!("replace {manager}.value \"m1\""), &format!("replace {manager}.$ref \"../Users/m1\"")],
    );
    user(
        &json!({"op": "Replace", "path": manager, "value": [{"value": "m1"}]}),
        &[&format!("replace {manager} {{\"value\":\"m1\"}}")],
    );
    user(&json!({"op": "Replace", "path": manager, "value": ""}), &[&format!("replace {manager} -")]);
    user(
        &json!({"op": "add", "path": "addresses[type eq \"work\"].streetAddress", "value": "x"}),
        &["add addresses[{\"type\":\"work\"}].streetAddress \"x\""],
    );
    user(&json!({"op": "remove", "path": "emails[type eq \"work\" or primary eq true]"}), &["remove emails[-] -"]);
    user(&json!({"op": "remove", "path": "emails[type eq \"work\" and type eq \"home\"]"}), &["remove emails[-] -"]);
    user(
        &json!({"op": "add", "path": "emails[type eq \"Work\" and primary eq \"True\"].value", "value": "a@b.c"}),
        &["add emails[{\"type\":\"Work\",\"primary\":true}].value \"a@b.c\""],
    );
    user(
        &json!({"op": "replace", "path": "department", "value": "R&D"}),
        &["replace urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department \"R&D\""],
    );
}

#[test]
fn an_extension_as_a_whole() {
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    user(&json!({"op": "remove", "path": urn}), &[&format!("remove {urn} -")]);
    user(
        &json!({"op": "replace", "path": urn, "value": {"Department": "x", "manager.value": "m1"}}),
        &[&format!("replace {urn}:department \"x\""), &format!("replace {urn}:manager.value \"m1\"")],
    );
    user(&json!({"op": "replace", "value": {urn: {"costCenter": null}}}), &[&format!("replace {urn}:costCenter -")]);
    user(&json!({"op": "replace", "value": {urn: null}}), &[&format!("replace {urn} -")]);
    user(&json!({"op": "add", "value": {urn: null}}), &[]);
    fails(
        &json!({"op": "add", "path": urn, "value": "x"}),
        ErrorKind::InvalidValue,
        &format!("Operations[0].value: expected an object with attributes of {urn}"),
    );
}

#[test]
fn without_a_path_the_keys_are_paths() {
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    user(
        &json!({"op": "Replace", "value": {
            "displayName": "D",
            "name.givenName": "G",
            format!("{urn}:department"): "R&D",
            "emails[type eq \"work\"].value": "a@b.c",
            "active": "False",
            "title": null,
        }}),
        &[
            "replace displayName \"D\"",
            "replace name.givenName \"G\"",
            &format!("replace {urn}:department \"R&D\""),
            "replace emails[{\"type\":\"work\"}].value \"a@b.c\"",
            "replace active false",
            "replace title -",
        ],
    );
    user(&json!({"op": "add", "path": "", "value": {"name": {"familyName": "F"}}}), &["add name.familyName \"F\""]);
    user(
        &json!({"op": "replace", "value": {"id": "1", "schemas": [], "meta": {"version": "x"}, "groups": [], "displayName": "D"}}),
        &["replace displayName \"D\""],
    );
    user(&json!({"op": "replace", "value": {"shoeSize": 1, "no good!": 2, "name.first": "x"}}), &[]);
    tolerates(&json!({"op": "replace", "value": {"shoeSize": 1}}), Tolerance::Unknown);
    tolerates(&json!({"op": "replace", "value": {"name.givenName": "x"}}), Tolerance::DottedKey);
    fails(
        &json!({"op": "replace", "value": "x"}),
        ErrorKind::InvalidValue,
        "Operations[0].value: without a path, expected an object of attributes and their values",
    );
    fails(
        &json!({"op": "remove", "value": {"title": "x"}}),
        ErrorKind::NoTarget,
        "Operations[0].path: missing; remove needs a path that names what to remove",
    );
    fails(
        &json!({"op": "replace", "value": {"active": "maybe"}}),
        ErrorKind::InvalidValue,
        "Operations[0].value.active: expected true or false, found string \"maybe\"",
    );
}

/// What no provider could have meant otherwise is passed over with the rest of the PATCH done; strictly, it is named.
#[test]
fn paths_to_what_the_schema_does_not_have() {
    for (path, expect) in [
        ("nikcName", "User has no attribute `nikcName`; did you mean `nickName`?"),
        ("nikcName[type eq \"x\"].value", "User has no attribute `nikcName`; did you mean `nickName`?"),
        ("name.familyNmae", "`name` has no sub-attribute `familyNmae`; did you mean `familyName`?"),
        ("emails[type eq \"work\"].valeu", "`emails` has no sub-attribute `valeu`; did you mean `value`?"),
        ("urn:example:2.0:User:badge", "`urn:example:2.0:User:badge`: User has no schema `urn:example:2.0:User`"),
    ] {
        for (op, value) in [("add", json!("x")), ("replace", json!({"value": "x"})), ("remove", Value::Null)] {
            let operation = json!({"op": op, "path": path, "value": value});
            tolerates(&operation, Tolerance::Unknown);
            user(&operation, &[]);
            let mut strict = Compat::refusing([Tolerance::Unknown]);
            let error = parse(&body(&json!([operation])), ty("User"), &mut strict).expect_err(path);
            let item = Tolerance::Unknown.item();
            let detail = format!("Operations[0].path: the tolerance `{}` is off; {}: {expect}", item.id, item.correct);
            assert_eq!((error.detail, error.kind), (detail, ErrorKind::InvalidPath));
        }
    }
    let title = json!({"op": "replace", "path": "title", "value": "x"});
    let both = body(&json!([{"op": "add", "path": "nikcName", "value": "x"}, title]));
    let operations = parse(&both, ty("User"), &mut Compat::default()).expect("the rest is done");
    assert_eq!(operations.iter().map(shown).collect::<Vec<_>>(), ["replace title \"x\""]);
    user(&json!({"op": "add", "value": {"emails[type eq \"work\"].valeu": "x"}}), &[]);
}

/// What the profile refuses is no unknown attribute: passing it over would lose it without a word.
#[test]
fn what_another_tolerance_would_read_is_not_passed_over() {
    for operation in
        [json!({"op": "add", "path": "department", "value": "x"}), json!({"op": "add", "value": {"department": "x"}})]
    {
        let mut compat = Compat::refusing([Tolerance::ExtensionAtTop]);
        let error = parse(&body(&json!([operation])), ty("User"), &mut compat).expect_err("refused");
        assert!(error.detail.contains("the tolerance `extension-at-top` is off"), "{}", error.detail);
    }
}

#[test]
fn paths_that_name_nothing_or_nothing_to_change() {
    fails(
        &json!({"op": "replace", "path": "emails[broken!!!filter", "value": "x"}),
        ErrorKind::InvalidPath,
        "Operations[0].path: at character 14, found `!!!filter`, where an operator (eq, ne, co, sw, ew, gt, ge, lt, \
         le or pr) is expected",
    );
    fails(
        &json!({"op": "replace", "path": "emails[kind eq \"work\"].value", "value": "x"}),
        ErrorKind::InvalidFilter,
        "Operations[0].path: `emails` has no sub-attribute `kind`; it has value, display, type, primary",
    );
    fails(
        &json!({"op": "replace", "path": "name[givenName eq \"x\"].familyName", "value": "x"}),
        ErrorKind::InvalidPath,
        "Operations[0].path: `name` has one value, so nothing is to be selected in brackets",
    );
    fails(
        &json!({"op": "replace", "path": 7, "value": "x"}),
        ErrorKind::InvalidPath,
        "Operations[0].path: expected a string such as \"name.familyName\"",
    );
    for path in ["id", "meta.created", "groups", "groups[value eq \"g\"]"] {
        fails(
            &json!({"op": "replace", "path": path, "value": "x"}),
            ErrorKind::Mutability,
            &format!("Operations[0].path: `{path}` is read-only: the server sets it; leave the operation out"),
        );
    }
    user(&json!({"op": "add", "path": "schemas", "value": ["urn:x"]}), &[]);
    fails(
        &json!({"op": "replace", "path": "title"}),
        ErrorKind::InvalidValue,
        "Operations[0].value: missing; give the value of `title`, or null to unset it",
    );
    fails(
        &json!({"op": "replace", "path": "title", "value": 5}),
        ErrorKind::InvalidValue,
        "Operations[0].value: expected a string, found number 5; the path is `title`",
    );
    fails(
        &json!({"op": "replace", "path": "emails[type eq \"work\"]", "value": [{"value": "a"}, {"value": "b"}]}),
        ErrorKind::InvalidValue,
        "Operations[0].value: expected the one value to put in place, found an array of 2; the path is \
         `emails[type eq \"work\"]`",
    );
}

#[test]
fn removing_listed_values() {
    user(
        &json!({"op": "Remove", "path": "emails", "value": [{"value": "a@b.c"}]}),
        &["remove emails [{\"value\":\"a@b.c\"}]"],
    );
    user(&json!({"op": "Remove", "path": "emails", "value": []}), &[]);
    user(&json!({"op": "Remove", "path": "emails", "value": null}), &["remove emails -"]);
    user(&json!({"op": "Remove", "path": "title", "value": "x"}), &["remove title -"]);
    tolerates(&json!({"op": "remove", "path": "emails", "value": [{"value": "x"}]}), Tolerance::RemoveByValue);
}

#[test]
fn members_are_edges() {
    let add = |value: Value| json!({"op": "Add", "path": "members", "value": value});
    group(
        &add(json!([{"$ref": null, "value": "u1"}, {"value": "u2", "type": "User"}])),
        &["add Add([\"u1\", \"u2\"])"],
    );
    group(&add(json!({"value": "u1"})), &["add Add([\"u1\"])"]);
    group(&add(json!("u1")), &["add Add([\"u1\"])"]);
    group(&add(json!(["u1", "u1"])), &["add Add([\"u1\"])"]);
    group(&add(json!(null)), &[]);
    group(&add(json!([])), &[]);
    let replace = |value: Value| json!({"op": "replace", "path": "members", "value": value});
    group(&replace(json!([{"value": "u1"}])), &["replace Replace([\"u1\"])"]);
    group(&replace(json!([])), &["replace Replace([])"]);
    group(&replace(json!(null)), &["replace Replace([])"]);
    group(
        &json!({"op": "replace", "value": {"id": "g", "displayName": "D", "members": [{"value": "u1"}]}}),
        &["replace displayName \"D\"", "replace Replace([\"u1\"])"],
    );
    let remove = |path: &str, value: Value| json!({"op": "remove", "path": path, "value": value});
    group(&json!({"op": "remove", "path": "members"}), &["remove Replace([])"]);
    group(&remove("members", json!([{"value": "u1"}])), &["remove Remove([\"u1\"])"]);
    group(&remove("members", json!([])), &[]);
    group(&remove("members[value eq \"u1\"]", json!(null)), &["remove Remove([\"u1\"])"]);
    group(&remove("members[value eq \"u1\" or value eq \"U2\"]", json!(null)), &["remove Remove([\"u1\", \"U2\"])"]);
    group(&remove("members[type eq \"User\"]", json!(null)), &["remove RemoveWhere"]);
    group(&json!({"op": "add", "path": "members[value eq \"u1\"]", "value": {}}), &["add Add([\"u1\"])"]);
    group(
        &json!({"op": "replace", "path": "members[value eq \"u1\"]", "value": {"value": "u2"}}),
        &["replace Remove([\"u1\"])", "replace Add([\"u2\"])"],
    );
}

#[test]
fn members_that_are_none() {
    fn check(operation: &Value, kind: ErrorKind, expect: &str) {
        let error = parse(&body(&json!([operation])), ty("Group"), &mut Compat::default()).expect_err("refused");
        assert_eq!((error.detail.as_str(), error.kind), (expect, kind), "{operation}");
    }
    check(
        &json!({"op": "replace", "path": "members[value eq \"u1\"].value", "value": "u2"}),
        ErrorKind::Mutability,
        "Operations[0].path: `members.value` follows from the member; remove the member and add another",
    );
    check(
        &json!({"op": "add", "path": "members", "value": [{"value": "u1"}, {"display": "x"}]}),
        ErrorKind::InvalidValue,
        "Operations[0].value[1]: a member needs the id of a resource as `value`: {\"value\": \"<id>\"}; the path is `members`",
    );
    check(
        &json!({"op": "replace", "path": "members[value eq \"u1\"].type", "value": "User"}),
        ErrorKind::Mutability,
        "Operations[0].path: `members.type` follows from the member; remove the member and add another",
    );
    check(
        &json!({"op": "add", "path": "members[type eq \"User\"]", "value": null}),
        ErrorKind::NoTarget,
        "Operations[0].path: the filter names no member to add; use the path `members` and list the ids in `value`",
    );
    check(
        &json!({"op": "remove", "path": "members[valeu eq \"u1\"]"}),
        ErrorKind::InvalidFilter,
        "Operations[0].path: `members` has no sub-attribute `valeu`; did you mean `value`?",
    );
}
