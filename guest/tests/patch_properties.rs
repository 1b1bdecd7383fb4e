//! Laws of PATCH (RFC 7644 §3.5.2) that hold for every document and every operation.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::compat::Compat;
use scimwell_guest::error::Result;
use scimwell_guest::patch;
use scimwell_guest::resource::Object;
use scimwell_guest::schema::{REGISTRY, ResourceType};
use scimwell_guest::validate;
use serde_json::{Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("built in")
}

/// The document after the operations and whether it changed; `document` itself is changed as by the server.
fn run(document: &mut Object, operations: &[Value]) -> Result<bool> {
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let mut compat = Compat::default();
    let operations = patch::parse(&body, user(), &mut compat)?;
    patch::apply(user(), document, &operations, &mut compat).map(|applied| applied.changed)
}

fn after(document: &Object, operations: &[Value]) -> Result<Object> {
    let mut document = document.clone();
    run(&mut document, operations).map(|_| document)
}

fn operation(verb: &str, path: &str, value: &Value) -> Value {
    json!({"op": verb, "path": path, "value": value})
}

/// Few letters, so that values meet.
fn text() -> impl Strategy<Value = Value> {
    "[ab]{1,2}".prop_map(Value::from)
}

fn nothing() -> impl Strategy<Value = Value> {
    select(vec![Value::Null, json!(""), json!([])])
}

fn email() -> impl Strategy<Value = Value> {
    let parts = (
        text(),
        option::of(select(vec!["work", "home", "Work"])),
        option::of(text()),
        option::weighted(0.2, any::<bool>()),
    );
    parts.prop_map(|(value, kind, display, primary)| {
        let mut email = json!({"value": value, "type": kind, "display": display, "primary": primary});
        email.as_object_mut().expect("an object").retain(|_, part| !part.is_null());
        email
    })
}

fn emails() -> impl Strategy<Value = Value> {
    vec(email(), 1..4).prop_map(Value::Array)
}

fn name() -> impl Strategy<Value = Value> {
    (option::of(text()), option::of(text()), option::of(text())).prop_map(|(given, family, middle)| {
        let mut name = Object::new();
        for (sub, part) in [("givenName", given), ("familyName", family), ("middleName", middle)] {
            name.extend(part.map(|part| (sub.to_owned(), part)));
        }
        Value::Object(name)
    })
}

/// A path and a value that fits it.
fn assignment() -> impl Strategy<Value = (String, Value)> {
    let at = |path: &str| Just(path.to_owned());
    let plain =
        select(vec!["title", "nickName", "displayName", "externalId", "name.givenName", "department", "manager.value"]);
    let filtered = (select(vec!["work", "home", "b"]), select(vec!["type", "value"]));
    let sub = select(vec!["value", "display", "type"]);
    prop_oneof![
        4 => (plain.prop_map(str::to_owned), prop_oneof![4 => text(), 1 => nothing()]),
        1 => (at("active"), prop_oneof![any::<bool>().prop_map(Value::from), Just(json!("True"))]),
        2 => (at("name"), prop_oneof![4 => name(), 1 => nothing()]),
        1 => (at("manager"), prop_oneof![text(), text().prop_map(|id| json!({"value": id, "$ref": "../Users/x"})), nothing()]),
        3 => (at("emails"), prop_oneof![4 => emails(), 1 => nothing()]),
        1 => (at("emails.display"), text()),
        2 => (filtered.clone().prop_map(|(value, by)| format!("emails[{by} eq \"{value}\"]")), email()),
        4 => ((filtered, sub).prop_map(|((value, by), sub)| format!("emails[{by} eq \"{value}\"].{sub}")), prop_oneof![4 => text(), 1 => nothing()]),
        1 => (filtered_primary(), any::<bool>().prop_map(Value::from)),
    ]
}

/// `emails[type eq "work"].type = "home"` finds no such value the second time.
fn selects_by_what_it_sets(path: &str) -> bool {
    let Some((selection, sub)) = path.split_once(']') else { return false };
    selection.starts_with("emails[value") || matches!(sub, "" | ".type")
}

fn filtered_primary() -> impl Strategy<Value = String> {
    select(vec!["work", "home"]).prop_map(|kind| format!("emails[type eq \"{kind}\"].primary"))
}

fn any_operation() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (select(vec!["add", "Replace"]), assignment()).prop_map(|(verb, (path, value))| operation(verb, &path, &value)),
        1 => assignment().prop_map(|(path, _)| json!({"op": "remove", "path": path})),
        1 => emails().prop_map(|emails| operation("remove", "emails", &emails)),
        1 => (text(), name()).prop_map(|(title, name)| json!({"op": "replace", "value": {"title": title, "name": name}})),
    ]
}

/// A document in canonical form, as the store keeps it.
fn document() -> impl Strategy<Value = Object> {
    let strings = (text(), option::of(text()), option::of(text()), option::of(text()));
    (strings, option::of(any::<bool>()), option::of(emails()), name(), option::of(text())).prop_map(
        |((user_name, title, nick, external), active, emails, name, department)| {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": user_name,
                "title": title,
                "nickName": nick,
                "externalId": external,
                "active": active,
                "emails": emails,
                "name": name,
                ENTERPRISE: {"department": department},
            });
            validate::draft(user(), body, &mut Compat::default()).expect("fits the schema").attributes
        },
    )
}

/// No null, no empty array and no empty object anywhere.
fn canonical(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty() && values.iter().all(canonical),
        Value::Object(object) => !object.is_empty() && object.values().all(canonical),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn to_add_or_replace_twice_is_to_do_it_once(
        document in document(),
        verb in select(vec!["add", "replace"]),
        (path, value) in assignment().prop_filter("selects the same the second time", |(path, _)| !selects_by_what_it_sets(path)),
    ) {
        let operation = operation(verb, &path, &value);
        let once = after(&document, std::slice::from_ref(&operation));
        let Ok(once) = once else { return Ok(()) };
        let mut twice = once.clone();
        prop_assert_eq!(run(&mut twice, std::slice::from_ref(&operation)), Ok(false), "{} on {:?}", operation, once);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn to_remove_what_was_added_restores_the_document(document in document(), (path, value) in assignment()) {
        let absent = after(&document, &[json!({"op": "remove", "path": path.split(['[', '.']).next()})]);
        let absent = absent.expect("none of these is required");
        let added = operation("add", &path, &value);
        let removed = json!({"op": "remove", "path": path.split(['[', '.']).next()});
        prop_assert_eq!(after(&absent, &[added, removed]), Ok(absent));
    }

    #[test]
    fn to_remove_a_value_that_was_added_keeps_the_others(document in document(), kind in option::of("[ab]"), by_path: bool) {
        // A value that no document here has.
        let mut email = json!({"value": "new@example.com"});
        email.as_object_mut().expect("an object").extend(kind.map(|kind| ("type".to_owned(), json!(kind))));
        let added = operation("add", "emails", &json!([email]));
        let removed = if by_path {
            json!({"op": "remove", "path": "emails[value eq \"NEW@example.com\"]"})
        } else {
            json!({"op": "Remove", "path": "emails", "value": [{"value": "new@example.com"}]})
        };
        let grown = after(&document, std::slice::from_ref(&added)).expect("adds");
        let count = |document: &Object| document.get("emails").and_then(Value::as_array).map_or(0, Vec::len);
        prop_assert_eq!(count(&grown), count(&document) + 1);
        prop_assert_eq!(after(&grown, &[removed]), Ok(document));
    }

    #[test]
    fn a_failed_patch_changes_nothing(document in document(), operations in vec(any_operation(), 0..5)) {
        let mut operations = operations;
        operations.push(json!({"op": "replace", "path": "emails[type ne \"x\" and type ne \"y\" and type eq \"z\"].value", "value": "v"}));
        let mut changed = document.clone();
        prop_assert!(run(&mut changed, &operations).is_err());
        prop_assert_eq!(changed, document);
    }

    #[test]
    fn what_changed_is_said_and_stays_canonical(document in document(), operations in vec(any_operation(), 1..5)) {
        let mut changed = document.clone();
        let said = run(&mut changed, &operations).unwrap_or(false);
        prop_assert_eq!(said, changed != document);
        prop_assert!(canonical(&Value::Object(changed.clone())), "{:?} after {:?}", changed, operations);
        prop_assert!(changed.contains_key("userName"));
    }

    #[test]
    fn a_patch_is_its_operations_one_after_another(document in document(), operations in vec(any_operation(), 1..5)) {
        let one_by_one = operations.iter().try_fold(document.clone(), |document, operation| {
            after(&document, std::slice::from_ref(operation))
        });
        match (after(&document, &operations), one_by_one) {
            (Ok(together), Ok(one_by_one)) => prop_assert_eq!(together, one_by_one),
            (together, one_by_one) => prop_assert_eq!(together.is_err(), one_by_one.is_err()),
        }
    }

    #[test]
    fn other_attributes_are_left_alone(document in document(), (path, value) in assignment(), verb in select(vec!["add", "replace"])) {
        let Ok(changed) = after(&document, &[operation(verb, &path, &value)]) else { return Ok(()) };
        let top = path.split(['[', '.']).next().expect("a path");
        let touched = if matches!(top, "manager" | "department") { ENTERPRISE } else { top };
        let rest = |document: &Object| {
            let mut rest = document.clone();
            rest.shift_remove(touched);
            rest
        };
        prop_assert_eq!(rest(&changed), rest(&document));
    }

    #[test]
    fn one_value_at_most_becomes_primary(document in document(), kind in select(vec!["work", "home"])) {
        let operation = operation("add", "emails", &json!([{"value": "new", "type": kind, "primary": true}]));
        let changed = after(&document, &[operation]).expect("adds");
        let emails = changed["emails"].as_array().expect("emails");
        let primary: Vec<&Value> = emails.iter().filter(|email| email["primary"] == json!(true)).collect();
        prop_assert_eq!(primary, [&json!({"value": "new", "type": kind, "primary": true})]);
    }

    #[test]
    fn any_json_is_read_or_refused(path in "[a-z\\[\\]\" .:]{0,12}", value in any_json(), verb in "add|Remove|replace|x") {
        let mut document = Object::from_iter([("userName".to_owned(), json!("u"))]);
        let before = document.clone();
        let pathless = run(&mut document, &[json!({"op": verb, "value": value})]);
        prop_assert!(pathless.is_ok() || document == before);
        let before = document.clone();
        let with_path = run(&mut document, &[json!({"op": verb, "path": path, "value": value})]);
        prop_assert!(with_path.is_ok() || document == before);
        prop_assert!(canonical(&Value::Object(document)));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\[\\]{}:.]{0,8}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        select(vec![
            "value",
            "type",
            "primary",
            "emails",
            "name",
            "name.givenName",
            "manager",
            "active",
            ENTERPRISE,
            "schemas",
            "title"
        ])
        .prop_map(str::to_owned),
        "[a-z.:\\[\\]]{0,6}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((key.clone(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
