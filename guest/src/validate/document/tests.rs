#![expect(clippy::needless_pass_by_value, reason = "`json!` without `&` keeps the cases readable")]

use std::borrow::Cow;

use serde_json::json;

use super::*;
use crate::schema::REGISTRY;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("built in")
}

fn run(ty: &ResourceType, it: &Value) -> Result<(), (ErrorKind, String)> {
    document(ty, it.as_object().expect("an object")).map_err(|error| (error.kind, error.detail))
}

fn check(it: Value) {
    assert_eq!(run(user(), &it), Ok(()), "{it}");
}

fn reject(ty: &ResourceType, it: Value, detail: &str) {
    assert_eq!(run(ty, &it), Err((ErrorKind::InvalidValue, detail.to_owned())), "{it}");
}

/// User with a required extension that requires an attribute and a sub-attribute.
fn demanding() -> ResourceType {
    let mut ty = user().clone();
    let extension = &mut ty.extensions.to_mut()[0];
    extension.required = true;
    for attribute in extension.schema.attributes.to_mut() {
        match attribute.name.as_ref() {
            "department" => attribute.required = true,
            "manager" => attribute.sub_attributes.to_mut()[0].required = true,
            _ => {}
        }
    }
    ty
}

#[test]
fn required_attributes() {
    check(json!({"userName": "a"}));
    reject(user(), json!({"displayName": "a"}), "userName: this attribute is required; send a value");
    let group = REGISTRY.by_name("Group").expect("built in");
    reject(group, json!({}), "displayName: this attribute is required; send a value");
}

#[test]
fn required_extensions_and_sub_attributes() {
    let ty = demanding();
    let with = |extension: Value| json!({"userName": "a", ENTERPRISE: extension});
    assert_eq!(run(&ty, &with(json!({"department": "d", "manager": {"value": "1"}}))), Ok(()));
    reject(
        &ty,
        json!({"userName": "a"}),
        &format!("{ENTERPRISE}: this extension is required; send an object under its URN"),
    );
    reject(&ty, with(json!({})), &format!("{ENTERPRISE}:department: this attribute is required; send a value"));
    reject(
        &ty,
        with(json!({"department": "d", "manager": {"$ref": "x"}})),
        &format!("{ENTERPRISE}:manager.value: this sub-attribute is required; send a value"),
    );
}

#[test]
fn required_sub_attributes_of_each_value() {
    let mut ty = user().clone();
    let emails = ty.schema.attributes.to_mut().iter_mut().find(|a| a.name == "emails").expect("built in");
    emails.sub_attributes.to_mut()[0].required = true;
    reject(
        &ty,
        json!({"userName": "a", "emails": [{"value": "x"}, {"type": "work"}]}),
        "emails[1].value: this sub-attribute is required; send a value",
    );
}

#[test]
fn one_primary_value() {
    check(json!({"userName": "a", "emails": [{"primary": true}, {"primary": false}], "ims": [{"primary": true}]}));
    reject(
        user(),
        json!({"userName": "a", "emails": [{"primary": true}, {"value": "x"}, {"primary": true}]}),
        "emails[0].primary and emails[2].primary are both true; only one value can be primary",
    );
}

#[test]
fn unique_values_fit_a_key() {
    check(json!({"userName": "x".repeat(UNIQUE_VALUE_BYTES)}));
    check(json!({"userName": "a", "displayName": "x".repeat(UNIQUE_VALUE_BYTES + 1)}));
    reject(
        user(),
        json!({"userName": "é".repeat(UNIQUE_VALUE_BYTES / 2 + 1)}),
        "userName: a unique value takes at most 512 bytes, this one has 514; shorten it",
    );
    // Folding case can make a value longer: İ takes two bytes, its lower case three.
    reject(
        user(),
        json!({"userName": "İ".repeat(UNIQUE_VALUE_BYTES / 2)}),
        "userName: a unique value takes at most 512 bytes, this one has 768; shorten it",
    );
}

#[test]
fn documents_are_bounded() {
    let frame = serde_json::to_string(&json!({"userName": "a", "title": ""})).expect("serializes").len();
    let fits = DOCUMENT_BYTES - frame;
    check(json!({"userName": "a", "title": "x".repeat(fits)}));
    let error = run(user(), &json!({"userName": "a", "title": "x".repeat(fits + 1)})).expect_err("must be refused");
    let detail = "the resource takes 393217 bytes, and at most 393216 are stored; send shorter or fewer values";
    assert_eq!(error, (ErrorKind::PayloadTooLarge, detail.to_owned()));
}

/// User with an immutable `title`, `name.familyName` and enterprise `department`.
fn with_immutable() -> ResourceType {
    let mut ty = user().clone();
    let fix = |attributes: &mut Cow<'static, [Attribute]>, name: &str| {
        let attribute = attributes.to_mut().iter_mut().find(|a| a.name == name).expect("built in");
        attribute.mutability = Mutability::Immutable;
    };
    fix(&mut ty.schema.attributes, "title");
    let name = ty.schema.attributes.to_mut().iter_mut().find(|a| a.name == "name").expect("built in");
    fix(&mut name.sub_attributes, "familyName");
    fix(&mut ty.extensions.to_mut()[0].schema.attributes, "department");
    ty
}

fn check_immutable(old: Value, new: Value, expect: Option<&str>) {
    let result = immutable(&with_immutable(), old.as_object().expect("object"), new.as_object().expect("object"));
    let detail = |name| format!("{name}: this attribute is immutable and has a value; send it with that value");
    let expect = expect.map_or(Ok(()), |name| Err((ErrorKind::Mutability, detail(name))));
    assert_eq!(result.map_err(|error| (error.kind, error.detail)), expect, "{old} -> {new}");
}

#[test]
fn immutable_attributes() {
    check_immutable(json!({}), json!({"title": "a"}), None);
    check_immutable(json!({"title": "a"}), json!({"title": "a", "userName": "b"}), None);
    check_immutable(json!({"title": "a"}), json!({"title": "b"}), Some("title"));
    check_immutable(json!({"title": "a"}), json!({}), Some("title"));
    check_immutable(json!({"userName": "a"}), json!({"userName": "b"}), None);
    check_immutable(json!({"name": {"givenName": "a"}}), json!({"name": {"familyName": "b"}}), None);
    check_immutable(
        json!({"name": {"familyName": "a"}}),
        json!({"name": {"familyName": "b"}}),
        Some("name.familyName"),
    );
    check_immutable(json!({ENTERPRISE: {"department": "a"}}), json!({ENTERPRISE: {"department": "a"}}), None);
    check_immutable(json!({}), json!({ENTERPRISE: {"department": "a"}}), None);
    let name = format!("{ENTERPRISE}:department");
    check_immutable(json!({ENTERPRISE: {"department": "a"}}), json!({}), Some(&name));
}
