use std::borrow::Cow;

use serde_json::{Value, json};

use super::*;
use crate::schema::{REGISTRY, Source};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "id": "1",
        "externalId": "e1",
        "userName": "bjensen",
        "password": "t1meMa$heen",
        "name": {"givenName": "Barbara", "familyName": "Jensen"},
        "emails": [{"value": "b@example.com", "type": "work"}, {"type": "home"}],
        "groups": [{"value": "g1", "display": "Tour Guides"}],
        ENTERPRISE: {"department": "Tour", "manager": {"value": "2"}},
        "meta": {"resourceType": "User", "version": "W/\"1\""},
    })
}

fn project(ty: &ResourceType, attributes: Option<&str>, excluded: Option<&str>, resource: Value) -> Value {
    let projection = Projection::parse(ty, attributes, excluded).expect("one parameter at most");
    let Value::Object(resource) = resource else { panic!("a resource is an object") };
    Value::Object(projection.apply(resource))
}

fn user_type() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("built in")
}

/// `expect` without `schemas` and `id`, which are always there.
fn check_only(attributes: &str, mut expect: Value) {
    expect["schemas"] = user()["schemas"].clone();
    expect["id"] = json!("1");
    assert_eq!(project(user_type(), Some(attributes), None, user()), expect, "attributes={attributes}");
}

/// `without` are pointers into the user.
fn check_except(excluded: &str, without: &[&str]) {
    let mut expect = user();
    for pointer in without.iter().chain(&["/password"]) {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
        let parent = expect.pointer_mut(parent).and_then(Value::as_object_mut).expect("pointer into the user");
        parent.shift_remove(key).expect("nothing to leave out there");
    }
    assert_eq!(project(user_type(), None, Some(excluded), user()), expect, "excludedAttributes={excluded}");
}

#[test]
fn default_leaves_out_what_is_never_returned() {
    let mut expect = user();
    expect.as_object_mut().unwrap().shift_remove("password");
    assert_eq!(project(user_type(), None, None, user()), expect);
}

#[test]
fn order_stays() {
    let Value::Object(projected) = project(user_type(), None, Some("externalId"), user()) else { unreachable!() };
    let names: Vec<&str> = projected.keys().map(String::as_str).collect();
    assert_eq!(names, ["schemas", "id", "userName", "name", "emails", "groups", ENTERPRISE, "meta"]);
}

#[test]
fn attributes_select() {
    check_only("userName", json!({"userName": "bjensen"}));
    check_only(" USERNAME , externalid,", json!({"userName": "bjensen", "externalId": "e1"}));
    check_only("name.givenName", json!({"name": {"givenName": "Barbara"}}));
    check_only("name,name.givenName", json!({"name": {"givenName": "Barbara", "familyName": "Jensen"}}));
    check_only("emails.value", json!({"emails": [{"value": "b@example.com"}]}));
    check_only("emails.display", json!({}));
    check_only("meta.version", json!({"meta": {"version": "W/\"1\""}}));
    check_only("urn:ietf:params:scim:schemas:core:2.0:User:userName", json!({"userName": "bjensen"}));
    check_only("groups", json!({"groups": [{"value": "g1", "display": "Tour Guides"}]}));
}

#[test]
fn attributes_select_from_extensions() {
    let whole = json!({ENTERPRISE: {"department": "Tour", "manager": {"value": "2"}}});
    check_only(ENTERPRISE, whole.clone());
    check_only(&ENTERPRISE.to_uppercase(), whole);
    check_only(&format!("{ENTERPRISE}:department"), json!({ENTERPRISE: {"department": "Tour"}}));
    check_only(&format!("{ENTERPRISE}:manager.value"), json!({ENTERPRISE: {"manager": {"value": "2"}}}));
    check_only("department", json!({ENTERPRISE: {"department": "Tour"}}));
}

#[test]
fn attributes_with_a_core_urn_select_the_core() {
    let mut expect = user();
    for name in ["password", ENTERPRISE] {
        expect.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(project(user_type(), Some("urn:ietf:params:scim:schemas:core:2.0:User"), None, user()), expect);
}

#[test]
fn unknown_and_secret_names_select_nothing() {
    check_only("password", json!({}));
    check_only("shoeSize,name.shoeSize,urn:x:y", json!({}));
    check_only("id", json!({}));
}

#[test]
fn excluded_attributes_leave_out() {
    check_except("groups", &["/groups"]);
    check_except("name.familyName,GROUPS", &["/name/familyName", "/groups"]);
    check_except("name.familyName,name.givenName", &["/name"]);
}

/// The second e-mail address has nothing but its type, so nothing of it is left.
#[test]
fn excluded_sub_attributes_leave_no_empty_values() {
    let projected = project(user_type(), None, Some("emails.type"), user());
    assert_eq!(projected["emails"], json!([{"value": "b@example.com"}]));
}

#[test]
fn always_cannot_be_excluded() {
    check_except("id,schemas", &[]);
    check_except("shoeSize", &[]);
}

#[test]
fn excluded_extensions() {
    check_except(ENTERPRISE, &[&format!("/{ENTERPRISE}")]);
    check_except(&format!("{ENTERPRISE}:manager"), &[&format!("/{ENTERPRISE}/manager")]);
    check_except("department,manager", &[&format!("/{ENTERPRISE}")]);
}

#[test]
fn both_parameters_are_refused() {
    let error = Projection::parse(user_type(), Some("userName"), Some("name")).expect_err("must be refused");
    assert_eq!(error.kind, ErrorKind::InvalidValue);
    assert_eq!(error.detail, "attributes and excludedAttributes exclude each other; send one of them");
}

#[test]
fn wants_tells_which_edges_to_read() {
    let wants = |ty: &str, source, attributes, excluded| {
        let ty = REGISTRY.by_name(ty).expect("built in");
        let attribute = ty.attribute_from(source).expect("has edges");
        Projection::parse(ty, attributes, excluded).expect("one parameter at most").wants(attribute)
    };
    assert!(wants("Group", Source::Members, None, None));
    assert!(!wants("Group", Source::Members, None, Some("members")));
    assert!(wants("Group", Source::Members, None, Some("members.display")));
    assert!(!wants("Group", Source::Members, Some("displayName"), None));
    assert!(wants("Group", Source::Members, Some("members.value"), None));
    assert!(wants("User", Source::Memberships, None, None));
    assert!(!wants("User", Source::Memberships, Some("userName"), None));
    assert!(wants("User", Source::Memberships, Some("urn:ietf:params:scim:schemas:core:2.0:User"), None));
    assert!(!wants("User", Source::Memberships, Some(ENTERPRISE), None));
}

/// A type with every kind of `returned`, on attributes and on sub-attributes.
fn every_returned() -> ResourceType {
    let mut ty = REGISTRY.by_name("Group").expect("built in").clone();
    let template = ty.schema.attributes[1].clone();
    let with = |name: &'static str, returned| Attribute { name: Cow::Borrowed(name), returned, ..template.clone() };
    let sub = |name: &'static str, returned| Attribute {
        sub_attributes: Cow::Borrowed(&[]),
        kind: crate::schema::Type::String,
        multi_valued: false,
        ..with(name, returned)
    };
    let all = [
        ("always", Returned::Always),
        ("never", Returned::Never),
        ("default", Returned::Default),
        ("request", Returned::Request),
    ];
    let subs: Vec<Attribute> = all.iter().map(|(name, returned)| sub(name, *returned)).collect();
    let attributes = all
        .iter()
        .map(|(name, returned)| Attribute { sub_attributes: Cow::Owned(subs.clone()), ..with(name, *returned) });
    ty.schema.attributes = attributes.collect();
    ty
}

fn check_returned(attributes: Option<&str>, excluded: Option<&str>, expect: &Value) {
    let full = json!({"always": 1, "never": 1, "default": 1, "request": 1});
    let resource = json!({"always": full, "never": full, "default": [full], "request": full});
    let projected = project(&every_returned(), attributes, excluded, resource);
    assert_eq!(projected, *expect, "attributes={attributes:?} excludedAttributes={excluded:?}");
}

#[test]
fn every_kind_of_returned() {
    let plain = json!({"always": 1, "default": 1});
    check_returned(None, None, &json!({"always": plain, "default": [plain]}));
    check_returned(Some("request"), None, &json!({"always": plain, "request": plain}));
    check_returned(Some("request.request"), None, &json!({"always": plain, "request": {"always": 1, "request": 1}}));
    check_returned(Some("default.default"), None, &json!({"always": plain, "default": [plain]}));
    check_returned(Some("default.never"), None, &json!({"always": plain, "default": [{"always": 1}]}));
    check_returned(Some("never,never.default"), None, &json!({"always": plain}));
    check_returned(Some("always.default"), None, &json!({"always": plain}));
    check_returned(None, Some("default"), &json!({"always": plain}));
    check_returned(None, Some("always,request"), &json!({"always": plain, "default": [plain]}));
    check_returned(None, Some("default.always,default.default"), &json!({"always": plain, "default": [{"always": 1}]}));
}
