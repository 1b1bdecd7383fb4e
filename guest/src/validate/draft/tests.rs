#![expect(clippy::needless_pass_by_value, reason = "`json!` without `&` keeps the cases readable")]

use serde_json::json;

use super::*;
use crate::schema::REGISTRY;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn run(ty: &str, body: Value, compat: &mut Compat) -> Result<Draft> {
    draft(REGISTRY.by_name(ty).expect("built in"), body, compat)
}

/// A user with `schemas` as they should be and `sent` beside them.
fn with_schemas(sent: &Value) -> Value {
    let mut body = json!({"schemas": [USER, ENTERPRISE]});
    let object = body.as_object_mut().expect("an object");
    object.extend(sent.as_object().expect("an object").clone());
    body
}

fn check(sent: Value, expect: Value, tolerances: &[Tolerance]) {
    let mut compat = Compat::default();
    let draft = run("User", with_schemas(&sent), &mut compat).expect("must be accepted");
    assert_eq!(Value::Object(draft.attributes), expect, "{sent}");
    assert_eq!(compat.used().collect::<Vec<_>>(), tolerances, "{sent}");
    assert_eq!(draft.members, None);
}

fn reject(sent: Value, kind: ErrorKind, detail: &str) {
    let error = run("User", with_schemas(&sent), &mut Compat::default()).expect_err("must be refused");
    assert_eq!((error.kind, error.detail.as_str()), (kind, detail), "{sent}");
}

fn check_members(members: Value, expect: Option<&[&str]>, tolerances: &[Tolerance]) {
    let mut compat = Compat::default();
    let body = json!({"schemas": [GROUP], "displayName": "g", "members": members});
    let draft = run("Group", body, &mut compat).expect("must be accepted");
    let expect = expect.map(|ids| ids.iter().map(ToString::to_string).collect());
    assert_eq!(
        (draft.attributes, draft.members),
        (Object::from_iter([("displayName".to_owned(), json!("g"))]), expect)
    );
    assert_eq!(compat.used().collect::<Vec<_>>(), tolerances, "{members}");
}

fn reject_members(members: &Value, detail: &str) {
    let body = json!({"schemas": [GROUP], "displayName": "g", "members": members});
    let error = run("Group", body, &mut Compat::default()).expect_err("must be refused");
    assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidValue, detail));
}

#[test]
fn plain_user() {
    let body = json!({
        "externalId": "00u6a15d23T9AeHhF5d7",
        "userName": "jane@test.com",
        "name": {"familyName": "Smith", "givenName": "Jane"},
        "emails": [{"primary": true, "type": "work", "value": "jane@test.com"}],
        "active": true,
        "password": "t1meMa$heen",
        ENTERPRISE: {"department": "Tour", "manager": {"value": "1"}},
    });
    check(body.clone(), body, &[]);
}

#[test]
fn read_only_attributes_are_left_out() {
    check(
        json!({
            "id": "5",
            "userName": "jane",
            "groups": [],
            "meta": {"created": "2018-02-13T15:05:24.000-08:00", "resourceType": "User", "location": 7},
        }),
        json!({"userName": "jane"}),
        &[],
    );
}

#[test]
fn no_value_is_left_out() {
    check(json!({"userName": "a", "title": null, "photos": [], ENTERPRISE: null}), json!({"userName": "a"}), &[]);
    check(
        json!({"userName": "a", "title": "", ENTERPRISE: {"manager": "", "department": null}}),
        json!({"userName": "a"}),
        &[Tolerance::EmptyString],
    );
}

#[test]
fn capitalised_names() {
    check(
        json!({
            "USERNAME": "a",
            "Emails": [{"Primary": true, "value": "a@bob2.com"}],
            ENTERPRISE.to_uppercase(): {"Department": "bob", "Manager": {"Value": "SuzzyQ"}},
        }),
        json!({
            "userName": "a",
            "emails": [{"primary": true, "value": "a@bob2.com"}],
            ENTERPRISE: {"department": "bob", "manager": {"value": "SuzzyQ"}},
        }),
        &[],
    );
}

#[test]
fn dotted_keys() {
    check(
        json!({"userName": "a", "name.givenName": "B", "Name.FamilyName": "J"}),
        json!({"userName": "a", "name": {"givenName": "B", "familyName": "J"}}),
        &[Tolerance::DottedKey],
    );
    check(
        json!({"name": {"givenName": "B"}, "name.familyName": "J"}),
        json!({"name": {"givenName": "B", "familyName": "J"}}),
        &[Tolerance::DottedKey],
    );
    check(
        json!({"name.familyName": "J", "name": {"givenName": "B"}}),
        json!({"name": {"givenName": "B", "familyName": "J"}}),
        &[Tolerance::DottedKey],
    );
    check(
        json!({ENTERPRISE: {"manager.value": "1"}}),
        json!({ENTERPRISE: {"manager": {"value": "1"}}}),
        &[Tolerance::DottedKey],
    );
}

#[test]
fn keys_with_urns() {
    check(
        json!({format!("{ENTERPRISE}:department"): "Tour", format!("{ENTERPRISE}:manager.value"): "1"}),
        json!({ENTERPRISE: {"department": "Tour", "manager": {"value": "1"}}}),
        &[Tolerance::DottedKey],
    );
    check(
        json!({ENTERPRISE: {"division": "D"}, format!("{ENTERPRISE}:department"): "Tour"}),
        json!({ENTERPRISE: {"division": "D", "department": "Tour"}}),
        &[Tolerance::DottedKey],
    );
    check(
        json!({format!("{USER}:userName"): "a", format!("{USER}:name.givenName"): "B"}),
        json!({"userName": "a", "name": {"givenName": "B"}}),
        &[Tolerance::DottedKey],
    );
    check(json!({USER: {"userName": "a"}}), json!({"userName": "a"}), &[Tolerance::DottedKey]);
}

#[test]
fn extension_attributes_at_the_top() {
    check(
        json!({"userName": "a", "department": "Tour", "manager.value": "1"}),
        json!({"userName": "a", ENTERPRISE: {"department": "Tour", "manager": {"value": "1"}}}),
        &[Tolerance::ExtensionAtTop],
    );
    check(
        json!({"userName": "a", "Manager": "1"}),
        json!({"userName": "a", ENTERPRISE: {"manager": {"value": "1"}}}),
        &[Tolerance::ComplexShape, Tolerance::ExtensionAtTop],
    );
}

#[test]
fn unknown_names_are_left_out() {
    check(
        json!({
            "userName": "a",
            "shoeSize": 9,
            "name.shoeSize": 9,
            "urn:example:other": {"a": 1},
            format!("{ENTERPRISE}2"): 1,
            format!("{ENTERPRISE}:shoeSize"): 1,
            ENTERPRISE: {"shoeSize": 9},
            "é.é": 1,
        }),
        json!({"userName": "a"}),
        &[Tolerance::Unknown],
    );
}

#[test]
fn strict_profile_says_what_was_meant() {
    let refuse = |sent: Value, detail: &str| {
        let mut compat = Compat::refusing([Tolerance::Unknown]);
        let error = run("User", with_schemas(&sent), &mut compat).expect_err("must be refused");
        assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidValue, detail));
    };
    let unknown = "the tolerance `unknown` is off; the schema has no such attribute; GET /Schemas lists what there is";
    refuse(json!({"usrName": "a"}), &format!("usrName: {unknown}; did you mean `userName`?"));
    refuse(json!({"zzzzzz": "a"}), &format!("zzzzzz: {unknown}"));
    refuse(
        json!({ENTERPRISE: {"departmnt": "a"}}),
        &format!("{ENTERPRISE}:departmnt: {unknown}; did you mean `department`?"),
    );
    refuse(json!({"schemas": [USER, "urn:x"]}), &format!("schemas[1]: {unknown}"));
}

#[test]
fn the_same_attribute_twice() {
    reject(
        json!({"userName": "a", "username": "b"}),
        ErrorKind::InvalidSyntax,
        "userName is given twice; send it once",
    );
    reject(
        json!({"name": {"givenName": "a"}, "name.givenname": "b"}),
        ErrorKind::InvalidSyntax,
        "name.givenName is given twice; send it once",
    );
    reject(
        json!({"name.givenName": "a", "name": {"givenName": "b"}}),
        ErrorKind::InvalidSyntax,
        "name.givenName is given twice; send it once",
    );
    reject(
        json!({"department": "a", ENTERPRISE: {"department": "b"}}),
        ErrorKind::InvalidSyntax,
        "department is given twice; send it once",
    );
    reject(
        json!({ENTERPRISE: {"manager": "1"}, "manager.value": "2"}),
        ErrorKind::InvalidSyntax,
        "manager.value is given twice; send it once",
    );
}

#[test]
fn errors_name_the_place() {
    reject(
        json!({"emails": [{"value": 5}]}),
        ErrorKind::InvalidValue,
        "emails[0].value: expected a string, found number 5",
    );
    reject(
        json!({ENTERPRISE: {"department": 5}}),
        ErrorKind::InvalidValue,
        &format!("{ENTERPRISE}:department: expected a string, found number 5"),
    );
    reject(
        json!({ENTERPRISE: [1]}),
        ErrorKind::InvalidValue,
        &format!("{ENTERPRISE}: expected an object with the attributes of that schema"),
    );
}

#[test]
fn the_body_is_an_object() {
    for body in [json!([]), json!("a"), json!(null), json!(5)] {
        let error = run("User", body, &mut Compat::default()).expect_err("must be refused");
        assert_eq!(error.kind, ErrorKind::InvalidSyntax);
        assert_eq!(error.detail, "the body must be a JSON object with the resource's attributes");
    }
}

#[test]
fn schemas() {
    let used = |schemas: Value| {
        let mut compat = Compat::default();
        run("User", json!({"schemas": schemas, "userName": "a"}), &mut compat).expect("must be accepted");
        compat.used().collect::<Vec<_>>()
    };
    assert_eq!(used(json!([USER])), []);
    assert_eq!(used(json!([ENTERPRISE, USER.to_lowercase()])), []);
    assert_eq!(used(json!(USER)), [Tolerance::SingleForArray]);
    assert_eq!(used(json!(["urn:scim:schemas:core:1.0"])), [Tolerance::LegacyUrn]);
    assert_eq!(used(json!(["urn:other"])), [Tolerance::Unknown, Tolerance::MissingSchemas]);
    assert_eq!(used(json!([])), [Tolerance::MissingSchemas]);
    assert_eq!(used(json!(null)), [Tolerance::MissingSchemas]);
    reject(json!({"schemas": [5]}), ErrorKind::InvalidValue, "schemas: expected an array of schema URNs in strings");
    let mut strict = Compat::refusing([Tolerance::MissingSchemas]);
    let error = run("User", json!({"userName": "a"}), &mut strict).expect_err("must be refused");
    assert_eq!(
        error.detail,
        "schemas: the tolerance `missing-schemas` is off; `schemas` must list the URN of the message, or of the resource's schema"
    );
}

#[test]
fn members() {
    check_members(json!([]), Some(&[]), &[]);
    check_members(json!(null), Some(&[]), &[]);
    check_members(json!(""), Some(&[]), &[Tolerance::EmptyString]);
    check_members(json!([{"value": "1", "$ref": null}, {"Value": "2", "display": "x"}]), Some(&["1", "2"]), &[]);
    check_members(json!([{"value": "2"}, {"value": "1"}, {"value": "2"}]), Some(&["2", "1"]), &[]);
    check_members(json!(["1", "2"]), Some(&["1", "2"]), &[Tolerance::ComplexShape]);
    check_members(json!({"value": "1"}), Some(&["1"]), &[Tolerance::SingleForArray]);
    check_members(json!("[{\"value\": \"1\"}]"), Some(&["1"]), &[Tolerance::JsonInString]);
}

#[test]
fn members_not_mentioned() {
    let body = json!({"schemas": [GROUP], "displayName": "g"});
    assert_eq!(run("Group", body, &mut Compat::default()).expect("must be accepted").members, None);
}

#[test]
fn members_without_an_id() {
    let detail =
        |index| format!("members[{index}]: a member needs the id of a resource as `value`: {{\"value\": \"<id>\"}}");
    reject_members(&json!([{"value": "1"}, {"display": "x"}]), &detail(1));
    reject_members(&json!([{"value": ""}]), &detail(0));
    reject_members(&json!([{"value": 5}]), &detail(0));
    reject_members(&json!([null]), &detail(0));
}
