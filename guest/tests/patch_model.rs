//! PATCH against a model that knows nothing of schemas, paths or filters: any sequence of operations makes of a document what
//! the same sequence makes of plain JSON by the few lines of [`Op::model`] (RFC 7644 §3.5.2.1 to §3.5.2.3).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::compat::Compat;
use scimwell_guest::patch;
use scimwell_guest::resource::Object;
use scimwell_guest::schema::REGISTRY;
use serde_json::{Map, Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What an operation does, said without SCIM.
#[derive(Clone, Debug)]
enum Op {
    Set(&'static str, String),
    Unset(&'static str),
    SetName(&'static str, String),
    UnsetName(&'static str),
    MergeName(Vec<(&'static str, String)>),
    SetDepartment(String),
    UnsetDepartment,
    SetBoth(String, String),
    AddEmails(Vec<(String, &'static str)>),
    ReplaceEmails(Vec<(String, &'static str)>),
    RemoveEmails,
    RemoveEmailsOf(&'static str),
    DisplayEmailsOf(&'static str, String),
}

impl Op {
    /// The operation of a PATCH body.
    fn patch(&self, add: bool) -> Value {
        let verb = if add { "add" } else { "replace" };
        let emails =
            |list: &[(String, &str)]| list.iter().map(|(v, t)| json!({"value": v, "type": t})).collect::<Vec<_>>();
        match self {
            Self::Set(name, text) => json!({"op": verb, "path": name, "value": text}),
            Self::Unset(name) => json!({"op": "remove", "path": name}),
            Self::SetName(sub, text) => json!({"op": verb, "path": format!("name.{sub}"), "value": text}),
            Self::UnsetName(sub) => json!({"op": "remove", "path": format!("name.{sub}")}),
            Self::MergeName(parts) => {
                let value: Map<_, _> = parts.iter().map(|(sub, text)| ((*sub).to_owned(), json!(text))).collect();
                json!({"op": verb, "path": "name", "value": value})
            }
            Self::SetDepartment(text) => json!({"op": verb, "path": format!("{ENTERPRISE}:department"), "value": text}),
            Self::UnsetDepartment => json!({"op": "remove", "path": format!("{ENTERPRISE}:department")}),
            Self::SetBoth(title, given) => json!({"op": verb, "value": {"title": title, "name": {"givenName": given}}}),
            Self::AddEmails(list) => json!({"op": "add", "path": "emails", "value": emails(list)}),
            Self::ReplaceEmails(list) => json!({"op": "replace", "path": "emails", "value": emails(list)}),
            Self::RemoveEmails => json!({"op": "remove", "path": "emails"}),
            Self::RemoveEmailsOf(kind) => json!({"op": "remove", "path": format!("emails[type eq \"{kind}\"]")}),
            Self::DisplayEmailsOf(kind, text) => {
                json!({"op": verb, "path": format!("emails[type eq \"{kind}\"].display"), "value": text})
            }
        }
    }

    /// The same on plain JSON.
    fn model(&self, document: &mut Object) {
        match self {
            Self::Set(name, text) => set(document, name, json!(text)),
            Self::Unset(name) => drop(document.remove(*name)),
            Self::SetName(sub, text) => inner(document, "name", |name| set(name, sub, json!(text))),
            Self::UnsetName(sub) => inner(document, "name", |name| drop(name.remove(*sub))),
            Self::MergeName(parts) => inner(document, "name", |name| {
                for (sub, text) in parts {
                    set(name, sub, json!(text));
                }
            }),
            Self::SetDepartment(text) => inner(document, ENTERPRISE, |own| set(own, "department", json!(text))),
            Self::UnsetDepartment => inner(document, ENTERPRISE, |own| drop(own.remove("department"))),
            Self::SetBoth(title, given) => {
                set(document, "title", json!(title));
                inner(document, "name", |name| set(name, "givenName", json!(given)));
            }
            Self::AddEmails(list) => emails(document, |there| add(there, list)),
            Self::ReplaceEmails(list) => emails(document, |there| {
                there.clear();
                add(there, list);
            }),
            Self::RemoveEmails => emails(document, Vec::clear),
            Self::RemoveEmailsOf(kind) => emails(document, |there| there.retain(|email| !of(email, kind))),
            Self::DisplayEmailsOf(kind, text) => emails(document, |there| {
                // Where there is none, it is made (what Entra ID relies on).
                if !there.iter().any(|email| of(email, kind)) {
                    there.push(json!({"type": kind}));
                }
                for email in there.iter_mut().filter(|email| of(email, kind)) {
                    email["display"] = json!(text);
                }
            }),
        }
    }
}

fn set(object: &mut Object, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}

/// Change an inner object that is there only while it has something in it.
fn inner(document: &mut Object, name: &str, change: impl FnOnce(&mut Object)) {
    let mut object = document.remove(name).and_then(|value| value.as_object().cloned()).unwrap_or_default();
    change(&mut object);
    if !object.is_empty() {
        set(document, name, Value::Object(object));
    }
}

fn emails(document: &mut Object, change: impl FnOnce(&mut Vec<Value>)) {
    let mut list = document.remove("emails").and_then(|value| value.as_array().cloned()).unwrap_or_default();
    change(&mut list);
    if !list.is_empty() {
        set(document, "emails", Value::Array(list));
    }
}

fn add(there: &mut Vec<Value>, list: &[(String, &str)]) {
    for (value, kind) in list {
        if !there.iter().any(|email| email["value"] == json!(value) && email["type"] == json!(kind)) {
            there.push(json!({"value": value, "type": kind}));
        }
    }
}

fn of(email: &Value, kind: &str) -> bool {
    email["type"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(kind))
}

fn text() -> impl Strategy<Value = String> {
    "[a-c]{1,2}"
}

fn op() -> impl Strategy<Value = Op> {
    let plain = || select(vec!["title", "nickName", "displayName"]);
    let sub = || select(vec!["givenName", "familyName"]);
    let kind = || select(vec!["work", "home"]);
    let list = || vec((text(), kind()), 1..4);
    prop_oneof![
        (plain(), text()).prop_map(|(name, text)| Op::Set(name, text)),
        plain().prop_map(Op::Unset),
        (sub(), text()).prop_map(|(sub, text)| Op::SetName(sub, text)),
        sub().prop_map(Op::UnsetName),
        vec((sub(), text()), 1..3).prop_map(Op::MergeName),
        text().prop_map(Op::SetDepartment),
        Just(Op::UnsetDepartment),
        (text(), text()).prop_map(|(title, given)| Op::SetBoth(title, given)),
        list().prop_map(Op::AddEmails),
        list().prop_map(Op::ReplaceEmails),
        Just(Op::RemoveEmails),
        kind().prop_map(Op::RemoveEmailsOf),
        (kind(), text()).prop_map(|(kind, text)| Op::DisplayEmailsOf(kind, text)),
    ]
}

fn run(document: &mut Object, operations: &[Value]) {
    let user = REGISTRY.by_name("User").expect("built in");
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let mut compat = Compat::default();
    let operations = patch::parse(&body, user, &mut compat).expect("the operations are right");
    patch::apply(user, document, &operations, &mut compat).expect("they can be applied");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_sequence_does_what_it_does_to_plain_json(ops in vec((op(), any::<bool>()), 1..12)) {
        let mut expect = json!({"userName": "u"}).as_object().cloned().expect("an object");
        let (mut at_once, mut one_by_one) = (expect.clone(), expect.clone());
        let operations: Vec<Value> = ops.iter().map(|(op, add)| op.patch(*add)).collect();
        for (op, _) in &ops {
            op.model(&mut expect);
        }
        run(&mut at_once, &operations);
        for operation in &operations {
            run(&mut one_by_one, std::slice::from_ref(operation));
        }
        prop_assert_eq!(&at_once, &expect);
        prop_assert_eq!(&one_by_one, &expect);
    }
}
