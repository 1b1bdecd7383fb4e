//! A traversal by cursor under random writes between its pages: what the writes don't touch is returned exactly once.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Json, TestHost, ok, patch};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

/// A write between two pages.
#[derive(Clone, Debug)]
enum Write {
    Create(Person),
    Rename(Index, Person),
    Delete(Index),
}

/// What decides a user's place and whether it matches. Values repeat, so that ids decide as well.
#[derive(Clone, Debug)]
struct Person {
    title: Option<u8>,
    matches: bool,
}

fn person() -> impl Strategy<Value = Person> {
    (proptest::option::of(0..6_u8), proptest::bool::weighted(0.7))
        .prop_map(|(title, matches)| Person { title, matches })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        person().prop_map(Write::Create),
        (any::<Index>(), person()).prop_map(|(which, person)| Write::Rename(which, person)),
        any::<Index>().prop_map(Write::Delete),
    ]
}

/// The users there are, and those that the traversal must return.
#[derive(Default)]
struct World {
    host: TestHost,
    number: usize,
    living: Vec<String>,
    untouched: BTreeSet<String>,
    matching: BTreeMap<String, bool>,
}

impl Person {
    fn body(&self, name: &str) -> Json {
        let mut body = json!({ "userName": name, "nickName": if self.matches { "yes" } else { "no" } });
        if let Some(title) = self.title {
            body["title"] = json!(format!("{}{title}", if title % 2 == 0 { "t" } else { "T" }));
            // The same where an index has the order.
            body["displayName"] = body["title"].clone();
        }
        body
    }
}

impl World {
    fn create(&mut self, person: &Person) -> String {
        self.number += 1;
        let user = ok(&self.host, "POST", "/Users", Some(person.body(&format!("u{}", self.number))));
        let id = user["id"].as_str().unwrap().to_owned();
        self.living.push(id.clone());
        self.matching.insert(id.clone(), person.matches);
        id
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Create(person) => drop(self.create(person)),
            Write::Rename(..) | Write::Delete(_) if self.living.is_empty() => {}
            Write::Rename(which, person) => {
                let id = which.get(&self.living).clone();
                self.untouched.remove(&id);
                let mut value = person.body("unused");
                value.as_object_mut().unwrap().remove("userName");
                let body = patch(&json!({ "op": "replace", "value": value }));
                ok(&self.host, "PATCH", &format!("/Users/{id}"), Some(body));
            }
            Write::Delete(which) => {
                let id = self.living.remove(which.index(self.living.len()));
                self.untouched.remove(&id);
                ok(&self.host, "DELETE", &format!("/Users/{id}"), None);
            }
        }
    }
}

/// Each way of listing, and whether it shows only those that match.
const WAYS: [(&str, bool); 15] = [
    ("/Users?sortBy=displayName", false),
    ("/Users?sortBy=displayName&sortOrder=descending", false),
    ("/Users?sortBy=displayName&filter=nickName+eq+%22yes%22", true),
    ("/Users?sortBy=displayName&sortOrder=descending&filter=nickName+eq+%22yes%22", true),
    ("/Users?filter=displayName+pr+or+not+(displayName+pr)", false),
    ("/Users?sortBy=userName&filter=nickName+eq+%22yes%22+and+userName+ge+%22u%22", true),
    ("/Users?x", false),
    ("/Users?filter=nickName+eq+%22yes%22", true),
    ("/Users?sortBy=title", false),
    ("/Users?sortBy=title&sortOrder=descending", false),
    ("/Users?sortBy=meta.lastModified&filter=nickName+eq+%22yes%22", true),
    ("/Users?sortBy=title&filter=nickName+eq+%22yes%22&sortOrder=descending", true),
    ("/?sortBy=title", false),
    ("/?filter=nickName+eq+%22yes%22", true),
    ("/?filter=userName+sw+%22u%22", false),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_no_write_touches_is_returned_exactly_once(
        people in proptest::collection::vec(person(), 0..16),
        pauses in proptest::collection::vec(proptest::collection::vec(write(), 0..4), 0..12),
        way in 0..WAYS.len(),
        count in 1..6_usize,
    ) {
        let (target, filtered) = WAYS[way];
        let mut world = World::default();
        for person in &people {
            let id = world.create(person);
            world.untouched.insert(id);
        }
        let mut pauses = pauses.iter();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ok(&world.host, "GET", &format!("{target}&attributes=id&count={count}&cursor={cursor}"), None);
            let resources = page["Resources"].as_array().unwrap();
            prop_assert!(resources.len() <= count);
            prop_assert!(seen.len() < 200, "the traversal goes round in circles");
            seen.extend(resources.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()));
            let Some(next) = page.get("nextCursor") else { break };
            next.as_str().unwrap().clone_into(&mut cursor);
            pauses.next().into_iter().flatten().for_each(|write| world.apply(write));
        }
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &seen {
            *times.entry(id).or_default() += 1;
        }
        for id in &world.untouched {
            let expected = usize::from(!filtered || world.matching[id]);
            prop_assert_eq!(times.get(id.as_str()).copied().unwrap_or_default(), expected, "{} {}", target, id);
        }
    }
}
