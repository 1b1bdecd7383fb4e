use std::borrow::Cow;

use serde_json::json;

use super::*;
use crate::schema::{ENTERPRISE_USER, USER};

fn user(name: &str) -> &'static Attribute {
    USER.attribute(name).or_else(|| ENTERPRISE_USER.attribute(name)).expect("attribute of a built-in schema")
}

/// An attribute of a type that no built-in schema has.
fn of_type(kind: Type) -> Attribute {
    Attribute { name: Cow::Borrowed("x"), kind, ..user("title").clone() }
}

fn run(attribute: &Attribute, sent: Value) -> (Result<Option<Value>, String>, Vec<Tolerance>) {
    let mut compat = Compat::default();
    let result = value(attribute, sent, &attribute.name, &mut compat).map_err(|error| error.detail);
    (result, compat.used().collect())
}

fn check(attribute: &Attribute, sent: Value, expect: impl Into<Option<Value>>, tolerances: &[Tolerance]) {
    let shown = sent.to_string();
    assert_eq!(run(attribute, sent), (Ok(expect.into()), tolerances.to_vec()), "{shown}");
}

fn same(attribute: &Attribute, sent: Value) {
    check(attribute, sent.clone(), sent, &[]);
}

fn unset(attribute: &Attribute, sent: Value) {
    check(attribute, sent, None, &[]);
}

fn reject(attribute: &Attribute, sent: Value, detail: &str) {
    assert_eq!(run(attribute, sent).0, Err(detail.to_owned()));
}

#[test]
fn strings_stay_as_they_are() {
    same(user("title"), json!("Tour Guide"));
    same(user("title"), json!(" "));
    same(user("title"), json!("a\u{0}b"));
    same(user("title"), json!("{\"not\": \"complex\"}"));
    same(user("profileUrl"), json!("TCYMYDEEFUYX"));
    same(user("phoneNumbers"), json!([{"value": "555-555-5555", "type": "work"}, {"value": "55555555555"}]));
    reject(user("title"), json!(5), "title: expected a string, found number 5");
    reject(user("title"), json!({"a": 1}), "title: expected a string, found an object");
    reject(user("profileUrl"), json!(true), "profileUrl: expected a URI in a string, found true");
}

#[test]
fn values_of_one_type_and_value_are_one() {
    let email = |value: &str, kind: &str| json!({"value": value, "type": kind});
    let once = json!([email("a", "work")]);
    check(user("emails"), json!([email("a", "work"), email("a", "work")]), once, &[]);
    let primary = json!([{"value": "a", "type": "work", "primary": true}, email("a", "home")]);
    check(user("emails"), json!([email("a", "work"), email("a", "home"), primary[0]]), primary, &[]);
    same(user("emails"), json!([email("a", "work"), email("A", "work")]));
    same(user("addresses"), json!([{"type": "work", "locality": "x"}, {"type": "work", "locality": "y"}]));
}

#[test]
fn too_many_values() {
    let many = |n: usize| Value::Array((0..n).map(|i| json!({"value": i.to_string()})).collect());
    same(user("emails"), many(5_000));
    reject(user("emails"), many(5_001), "emails: 5001 values are more than the 5000 that fit");
}

#[test]
fn no_value() {
    for name in ["title", "active", "emails", "name", "manager"] {
        unset(user(name), json!(null));
        unset(user(name), json!([]));
        check(user(name), json!(""), None, &[Tolerance::EmptyString]);
    }
    unset(user("emails"), json!([null, {}]));
    unset(user("name"), json!({"givenName": null}));
    check(user("manager"), json!({"value": ""}), None, &[Tolerance::EmptyString]);
    unset(user("manager"), json!({"displayName": "read-only"}));
}

#[test]
fn booleans() {
    same(user("active"), json!(false));
    for (text, expect) in [("True", true), ("False", false), ("true", true), ("FALSE", false)] {
        check(user("active"), json!(text), json!(expect), &[Tolerance::BooleanString]);
    }
    reject(user("active"), json!("yes"), "active: expected true or false, found string \"yes\"");
    reject(user("active"), json!(1), "active: expected true or false, found number 1");
}

#[test]
fn numbers() {
    let (integer, decimal) = (of_type(Type::Integer), of_type(Type::Decimal));
    same(&integer, json!(-7));
    same(&integer, json!(i64::MAX));
    same(&decimal, json!(2.5));
    same(&decimal, json!(2));
    check(&integer, json!("42"), json!(42), &[Tolerance::NumberString]);
    check(&decimal, json!("4.5"), json!(4.5), &[Tolerance::NumberString]);
    reject(&integer, json!(1.5), "x: expected an integer of at most 64 bits, found number 1.5");
    reject(&integer, json!(u64::MAX), "x: expected an integer of at most 64 bits, found number 18446744073709551615");
    reject(&integer, json!(1e300), "x: expected an integer of at most 64 bits, found number 1e+300");
    reject(&integer, json!("1e400"), "x: expected an integer of at most 64 bits, found string \"1e400\"");
    reject(&decimal, json!("NaN"), "x: expected a number, found string \"NaN\"");
    reject(&decimal, json!(true), "x: expected a number, found true");
}

#[test]
fn date_times() {
    let attribute = of_type(Type::DateTime);
    same(&attribute, json!("2018-02-13T15:05:24.000-08:00"));
    same(&attribute, json!("2018-02-13T15:05:24"));
    let detail = "x: expected a dateTime such as \"2026-01-31T12:00:00Z\", found string \"13.02.2018\"";
    reject(&attribute, json!("13.02.2018"), detail);
    reject(
        &attribute,
        json!(1_518_563_124),
        "x: expected a dateTime such as \"2026-01-31T12:00:00Z\", found number 1518563124",
    );
}

#[test]
fn binaries() {
    let attribute = of_type(Type::Binary);
    for text in ["TWFu", "TWE=", "TQ==", "TWE", "TQ", "_-8", "TWFu\r\nTWFu\r\n", "+/8="] {
        same(&attribute, json!(text));
    }
    for text in ["T", "TWFu=", "TW=u", "TWFuT", "T===", "TWF*"] {
        let detail = format!("x: expected a string in base64, found string {}", json!(text));
        reject(&attribute, json!(text), &detail);
    }
}

#[test]
fn plurality() {
    let email = json!({"value": "a@example.com", "type": "work"});
    same(user("emails"), json!([email]));
    check(user("emails"), email.clone(), json!([email]), &[Tolerance::SingleForArray]);
    check(user("title"), json!(["Guide"]), json!("Guide"), &[Tolerance::ArrayForSingle]);
    check(user("active"), json!(["True"]), json!(true), &[Tolerance::BooleanString, Tolerance::ArrayForSingle]);
    reject(user("title"), json!(["a", "b"]), "title: expected one value, found an array of 2");
    reject(user("manager"), json!(["a", "b"]), "manager: expected one value, found an array of 2");
}

#[test]
fn names_take_their_canonical_spelling() {
    check(
        user("emails"),
        json!([{"Primary": true, "TYPE": "work", "Value": "a@example.com"}, {"Primary": "False", "value": "b@example.com"}]),
        json!([
            {"primary": true, "type": "work", "value": "a@example.com"},
            {"primary": false, "value": "b@example.com"},
        ]),
        &[Tolerance::BooleanString],
    );
    let detail = "emails[1]: value is given twice, in different case; send it once";
    reject(user("emails"), json!([{"value": "a"}, {"value": "a", "Value": "b"}]), detail);
}

#[test]
fn manager_in_all_its_shapes() {
    let manager = json!({"value": "SuzzyQ"});
    same(user("manager"), manager.clone());
    same(user("manager"), json!({"value": "1", "$ref": "../Users/1"}));
    check(user("manager"), json!({"Value": "SuzzyQ", "$ref": null}), manager.clone(), &[]);
    check(user("manager"), json!("SuzzyQ"), manager.clone(), &[Tolerance::ComplexShape]);
    check(user("manager"), json!([manager]), manager.clone(), &[Tolerance::ComplexShape]);
    check(user("manager"), json!(["SuzzyQ"]), manager.clone(), &[Tolerance::ComplexShape]);
    check(user("manager"), json!({"value": "SuzzyQ", "displayName": "S"}), manager.clone(), &[]);
    check(user("manager"), json!("{\"value\": \"SuzzyQ\"}"), manager, &[Tolerance::JsonInString]);
    reject(
        user("manager"),
        json!(7),
        "manager: expected an object with any of value, $ref, displayName, found number 7",
    );
}

#[test]
fn roles_with_json_inside_strings() {
    let role = json!({"id": "a1b2", "value": "Admin", "displayName": "Admin"}).to_string();
    let used = [Tolerance::JsonInString, Tolerance::Unknown];
    check(user("roles"), json!([{"value": "Admin"}]), json!([{"value": "Admin"}]), &[]);
    check(user("roles"), json!([role]), json!([{"value": "Admin"}]), &used);
    let all = json!([{"value": "Admin", "primary": "True"}]).to_string();
    check(
        user("roles"),
        json!(all),
        json!([{"value": "Admin", "primary": true}]),
        &[Tolerance::BooleanString, Tolerance::JsonInString],
    );
    check(user("roles"), json!(["{odd name"]), json!([{"value": "{odd name"}]), &[Tolerance::ComplexShape]);
}

#[test]
fn an_emptied_value_takes_its_labels_along() {
    let used = &[Tolerance::EmptyString];
    check(user("emails"), json!([{"type": "work", "value": ""}, {"value": "a"}]), json!([{"value": "a"}]), used);
    unset(user("phoneNumbers"), json!([{"type": "work", "value": null}]));
    // Entra ID adds an e-mail address sub-attribute by sub-attribute, its type before its value.
    same(user("emails"), json!([{"type": "work", "primary": true}]));
    same(user("addresses"), json!([{"type": "work", "country": "Estonia"}]));
}

#[test]
fn unknown_sub_attributes_are_left_out() {
    check(user("name"), json!({"givenName": "B", "shoeSize": 9}), json!({"givenName": "B"}), &[Tolerance::Unknown]);
    let mut strict = Compat::refusing([Tolerance::Unknown]);
    let error = value(user("name"), json!({"givnName": "B"}), "name", &mut strict).expect_err("must be refused");
    assert_eq!(
        error.detail,
        "name.givnName: the tolerance `unknown` is off; the schema has no such attribute; GET /Schemas lists what there is; \
         did you mean `givenName`?"
    );
}

#[test]
fn errors_name_the_place() {
    reject(user("emails"), json!([{"value": 5}]), "emails[0].value: expected a string, found number 5");
    reject(
        user("emails"),
        json!([{"value": "a"}, {"primary": "perhaps"}]),
        "emails[1].primary: expected true or false, found string \"perhaps\"",
    );
    reject(
        user("addresses"),
        json!(["Main Street"]),
        "addresses[0]: expected an object with any of formatted, streetAddress, locality, region, postalCode, country, \
         type, primary, found string \"Main Street\"",
    );
    reject(user("emails"), json!([["a", "b"]]), {
        "emails[0]: expected an object with any of value, display, type, primary, found an array of 2"
    });
}

#[test]
fn errors_neither_flood_nor_leak() {
    let detail = format!("active: expected true or false, found string \"{}\"…", "x".repeat(40));
    reject(user("active"), json!("x".repeat(100_000)), &detail);
    reject(user("password"), json!(12345), "password: expected a string, found another type of value");
}

#[test]
fn strict_profile_refuses_each_shape() {
    let refuse = |tolerance, name: &str, sent| {
        let mut compat = Compat::refusing([tolerance]);
        let error = value(user(name), sent, name, &mut compat).expect_err("must be refused");
        let item = tolerance.item();
        let detail = format!("{name}: the tolerance `{}` is off; {}", item.id, item.correct);
        assert_eq!((error.kind, error.detail), (ErrorKind::InvalidValue, detail));
    };
    refuse(Tolerance::BooleanString, "active", json!("true"));
    refuse(Tolerance::EmptyString, "title", json!(""));
    refuse(Tolerance::SingleForArray, "emails", json!({"value": "a"}));
    refuse(Tolerance::ArrayForSingle, "title", json!(["a"]));
    refuse(Tolerance::ComplexShape, "manager", json!("a"));
    refuse(Tolerance::JsonInString, "manager", json!("{}"));
}

#[test]
fn one_element() {
    let mut compat = Compat::default();
    let sent = json!({"Value": "a@example.com"});
    assert_eq!(element(user("emails"), sent, "emails[3]", &mut compat), Ok(Some(json!({"value": "a@example.com"}))));
    let error = element(user("emails"), json!({"value": 1}), "emails[3]", &mut compat).expect_err("must be refused");
    assert_eq!(error.detail, "emails[3].value: expected a string, found number 1");
}
