//! However a search is planned, it shows what a scan of everything would: the same resources in the same order, the same
//! total, page by page and by cursor. The scan here knows neither indexes nor plans.

mod common;

use std::cmp::Ordering;
use std::fmt::Write as _;

use common::{Json, TestHost, ok};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::compat::Compat;
use scimwell_guest::filter::{check, parse};
use scimwell_guest::limits;
use scimwell_guest::schema::REGISTRY;
use serde_json::json;

/// Few letters, so that values meet; and some that share more than an index keeps of a value.
fn text() -> impl Strategy<Value = String> {
    let long = (limits::INDEX_VALUE_BYTES - 6..limits::INDEX_VALUE_BYTES + 3, "[abé]{0,2}")
        .prop_map(|(length, end)| format!("{}{end}", "a".repeat(length)));
    prop_oneof![12 => "[abA]{1,2}|é|É", 1 => Just("a\0b".to_owned()), 3 => long]
}

fn user() -> impl Strategy<Value = Json> {
    let email =
        (text(), select(vec!["work", "home"])).prop_map(|(value, kind)| json!({ "value": value, "type": kind }));
    let texts = (option::of(text()), option::of(text()), option::of(text()));
    (texts, option::of(any::<bool>()), vec(email, 0..3)).prop_map(|((display, external, title), active, emails)| {
        let mut user = json!({ "displayName": display, "externalId": external, "title": title, "active": active });
        user.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        if !emails.is_empty() {
            user["emails"] = json!(emails);
        }
        user
    })
}

const TEXTS: [&str; 5] = ["userName", "displayName", "externalId", "title", "emails.value"];
const OPERATORS: [&str; 9] = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];

/// `<n>` stands for the id of a user, `@n` for a time at which one was changed.
fn term() -> impl Strategy<Value = String> {
    let quoted = |text: String| Json::from(text).to_string();
    let compare = (select(&TEXTS[..]), select(&OPERATORS[..]), text())
        .prop_map(move |(name, operator, value)| format!("{name} {operator} {}", quoted(value)));
    let window = (select(&TEXTS[..]), text(), text())
        .prop_map(move |(name, from, to)| format!("({name} ge {} and {name} lt {})", quoted(from), quoted(to)));
    let named = (select(vec!["eq", "sw", "gt", "le"]), 0..24_usize)
        .prop_map(|(operator, number)| format!("userName {operator} \"u{number:02}\""));
    let several = vec(0..24_usize, 1..6).prop_map(|numbers| {
        let terms: Vec<String> = numbers.iter().map(|number| format!("userName eq \"U{number:02}\"")).collect();
        format!("({})", terms.join(" or "))
    });
    let present = select(vec!["displayName", "externalId", "title", "emails.value", "active", "meta.lastModified"])
        .prop_map(|name| format!("{name} pr"));
    let absent = select(vec!["displayName", "externalId", "title", "emails.value", "active"])
        .prop_map(|name| format!("{name} eq null"));
    let time = (select(vec!["eq", "gt", "ge", "lt", "le"]), 0..24_usize)
        .prop_map(|(operator, number)| format!("meta.lastModified {operator} \"@{number}\""));
    let email = (select(vec!["eq", "sw", "lt"]), text())
        .prop_map(move |(operator, value)| format!("emails[type eq \"work\" and value {operator} {}]", quoted(value)));
    prop_oneof![
        6 => compare,
        2 => window,
        2 => named,
        1 => several,
        1 => (0..24_usize).prop_map(|number| format!("id eq \"<{number}>\"")),
        2 => any::<bool>().prop_map(|active| format!("active eq {active}")),
        2 => present,
        1 => absent,
        2 => time,
        2 => email,
    ]
}

fn filter() -> impl Strategy<Value = String> {
    term().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" and "))),
            vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" or "))),
            inner.prop_map(|term| format!("not ({term})")),
        ]
    })
}

fn sort() -> impl Strategy<Value = (&'static str, bool)> {
    let names = vec!["userName", "displayName", "externalId", "active", "title", "meta.lastModified", "emails.value"];
    (select(names), any::<bool>())
}

/// What the list is to be: all users, tested one by one and sorted by comparing them.
fn reference(users: &[Json], filter: Option<&str>, sort: Option<(&str, bool)>) -> Vec<String> {
    let ty = REGISTRY.by_name("User").unwrap();
    let compat = &mut Compat::default();
    let filter = filter.map(|filter| parse(filter, compat).unwrap());
    let filter = filter.as_ref().map(|filter| check(filter, ty, compat).unwrap());
    let matching = users.iter().filter(|user| filter.as_ref().is_none_or(|f| f.matches(user.as_object().unwrap())));
    let mut matching: Vec<&Json> = matching.collect();
    if let Some((by, descending)) = sort {
        // Stable, and from the order of creation.
        matching.sort_by(|a, b| {
            let order = match (value(a, by), value(b, by)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            if descending { order.reverse() } else { order }
        });
    }
    matching.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

/// The text that a user is sorted by; times of one form sort as texts.
fn value(user: &Json, by: &str) -> Option<String> {
    let value = match by.split_once('.') {
        None => &user[by],
        Some(("emails", sub)) => &user["emails"][0][sub],
        Some((name, sub)) => &user[name][sub],
    };
    let text = match value {
        Json::Null => return None,
        Json::String(text) if by == "externalId" => text.clone(),
        Json::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    Some(text[..text.floor_char_boundary(limits::SORT_KEY_BYTES)].to_owned())
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

fn ids(list: &Json) -> Vec<String> {
    list["Resources"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_finds_what_a_scan_does(
        bodies in vec(user(), 0..24),
        filter in option::weighted(0.8, filter()),
        sort in option::weighted(0.6, sort()),
        (start, count) in (1..12_usize, 1..7_usize),
    ) {
        let host = TestHost::default();
        for (i, mut body) in bodies.into_iter().enumerate() {
            body["userName"] = json!(format!("u{i:02}"));
            ok(&host, "POST", "/Users", Some(body));
        }
        let users = ok(&host, "GET", "/Users?count=1000", None)["Resources"].as_array().unwrap().clone();
        let filter = filter.map(|mut filter| {
            for number in (0..24).rev() {
                let user = users.get(number);
                let id = user.map_or("none", |user| user["id"].as_str().unwrap());
                let time = user.map_or("2023-11-14T22:13:20Z", |user| user["meta"]["lastModified"].as_str().unwrap());
                filter = filter.replace(&format!("<{number}>"), id).replace(&format!("@{number}"), time);
            }
            filter
        });
        let expect = reference(&users, filter.as_deref(), sort);
        let mut query = filter.as_ref().map(|filter| format!("&filter={}", encode(filter))).unwrap_or_default();
        if let Some((by, descending)) = sort {
            let order = if descending { "descending" } else { "ascending" };
            let _ = write!(query, "&sortBy={by}&sortOrder={order}");
        }
        let page = ok(&host, "GET", &format!("/Users?startIndex={start}&count={count}{query}"), None);
        prop_assert_eq!(&page["totalResults"], expect.len(), "{:?} {:?}", &filter, sort);
        let shown: Vec<String> = expect.iter().skip(start - 1).take(count).cloned().collect();
        prop_assert_eq!(ids(&page), shown, "{:?} {:?}", &filter, sort);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ok(&host, "GET", &format!("/Users?count={count}{query}&cursor={cursor}"), None);
            if let Some(total) = page.get("totalResults") {
                prop_assert_eq!(total, expect.len());
            }
            seen.extend(ids(&page));
            prop_assert!(seen.len() <= expect.len(), "{:?} {:?}: {:?}, {:?}", &filter, sort, seen, expect);
            let Some(next) = page.get("nextCursor") else { break };
            next.as_str().unwrap().clone_into(&mut cursor);
        }
        prop_assert_eq!(seen, expect, "{:?} {:?}", &filter, sort);
    }
}
