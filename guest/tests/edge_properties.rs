//! Property: whatever is done to groups, the counter that spares a reader the search for edges tells whether there are any.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{TestHost, add, create, group, ok, patch, send, values};
use proptest::prelude::*;
use scimwell_guest::store::edges::EdgeCounter;
use scimwell_guest::store::{Store, keys};
use serde_json::json;

#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize),
    Remove(usize, usize),
    Replace(usize, Vec<usize>),
    DeleteUser(usize),
    DeleteGroup(usize),
}

const USERS: usize = 3;
const GROUPS: usize = 4;

/// A member is one of the users, or one of the groups.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (group, member) = (0..GROUPS, 0..USERS + GROUPS);
    let step = prop_oneof![
        4 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Add(group, member)),
        2 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Remove(group, member)),
        1 => (group.clone(), prop::collection::vec(member, 0..4)).prop_map(|(group, members)| Step::Replace(group, members)),
        1 => (0..USERS).prop_map(Step::DeleteUser),
        1 => group.prop_map(Step::DeleteGroup),
    ];
    prop::collection::vec(step, 1..30)
}

/// A tenant with all users and groups, nobody in any, and their ids: the users' first.
fn everybody() -> (TestHost, Vec<String>) {
    let host = TestHost::default();
    let mut ids: Vec<String> = (0..USERS).map(|i| create(&host, &format!("user{i}"))).collect();
    ids.extend((0..GROUPS).map(|i| group(&host, &format!("group{i}"), &[])));
    (host, ids)
}

fn take(host: &TestHost, ids: &[String], step: &Step) {
    let members = |at: &[usize]| at.iter().map(|at| json!({ "value": ids[*at] })).collect::<Vec<_>>();
    let change = |group: usize, body| {
        // A member may be gone, or the group itself: what is refused changes nothing.
        send(host, "PATCH", &format!("/Groups/{}", ids[USERS + group]), &[], Some(body));
    };
    match step {
        Step::Add(group, member) => change(*group, add(&ids[*member])),
        Step::Remove(group, member) => {
            change(
                *group,
                patch(&json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", ids[*member]) })),
            );
        }
        Step::Replace(group, at) => {
            change(*group, patch(&json!({ "op": "replace", "path": "members", "value": members(at) })));
        }
        Step::DeleteUser(user) => drop(send(host, "DELETE", &format!("/Users/{}", ids[*user]), &[], None)),
        Step::DeleteGroup(group) => drop(send(host, "DELETE", &format!("/Groups/{}", ids[USERS + group]), &[], None)),
    }
}

fn counter(host: &TestHost, id: &str) -> EdgeCounter {
    EdgeCounter::decode(host.memory.get(&[keys::edge_revision(id)]).unwrap()[0].as_deref()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_counter_tells_whether_there_are_edges(steps in steps()) {
        let (host, ids) = everybody();
        for step in &steps {
            take(&host, &ids, step);
            for id in &ids {
                let edges = host.memory.count(&keys::memberships(id)).unwrap();
                prop_assert_eq!(counter(&host, id).is_member(), edges > 0, "{:?}: {} has {} edges", step, id, edges);
            }
        }
    }

    /// What groups say of their members is what members say of their groups, in a page as in a GET.
    #[test]
    fn both_ends_tell_the_same(steps in steps()) {
        let (host, ids) = everybody();
        for step in &steps {
            take(&host, &ids, step);
        }
        let groups = ok(&host, "GET", "/Groups", None);
        let members: BTreeMap<String, Vec<String>> = groups["Resources"].as_array().into_iter().flatten()
            .map(|group| (group["id"].as_str().unwrap().to_owned(), values(group, "members"))).collect();
        let holders = |of: &BTreeSet<String>| -> BTreeSet<String> {
            let holds = |members: &&Vec<String>| members.iter().any(|member| of.contains(member));
            members.iter().filter(|(_, members)| holds(members)).map(|(id, _)| id.clone()).collect()
        };
        let page = ok(&host, "GET", "/Users", None);
        for user in page["Resources"].as_array().into_iter().flatten() {
            let id = user["id"].as_str().unwrap();
            prop_assert_eq!(user, &ok(&host, "GET", &format!("/Users/{id}"), None));
            let direct = holders(&BTreeSet::from([id.to_owned()]));
            let mut all = direct.clone();
            while let more = holders(&all) && !more.is_subset(&all) {
                all.extend(more);
            }
            let mut expect: Vec<(String, &str)> =
                all.into_iter().map(|id| { let how = if direct.contains(&id) { "direct" } else { "indirect" }; (id, how) }).collect();
            let mut told: Vec<(String, &str)> = user["groups"].as_array().into_iter().flatten()
                .map(|group| (group["value"].as_str().unwrap().to_owned(), group["type"].as_str().unwrap())).collect();
            expect.sort();
            told.sort();
            prop_assert_eq!(told, expect);
        }
    }
}

#[test]
fn who_is_in_many_groups_is_told_all_of_them() {
    let host = TestHost::default();
    let user = create(&host, "user");
    let mut groups: Vec<String> = (0..230).map(|i| group(&host, &format!("group{i}"), &[&user])).collect();
    groups.sort();
    let mut told = values(&ok(&host, "GET", &format!("/Users/{user}"), None), "groups");
    told.sort();
    assert_eq!(told, groups);
    let page = ok(&host, "GET", "/Users?attributes=groups.value", None);
    assert_eq!(page["Resources"][0]["groups"].as_array().map(Vec::len), Some(groups.len()));
}

#[test]
fn a_group_of_more_members_than_one_step_sweeps_leaves_none_behind() {
    let host = TestHost::default();
    let ids: Vec<String> = (0..1_200).map(|i| create(&host, &format!("user{i}"))).collect();
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (large, small) = (group(&host, "large", &all), group(&host, "small", &all[..2]));
    assert_eq!(
        values(&ok(&host, "GET", &format!("/Users/{}", ids[0]), None), "groups"),
        [large.clone(), small.clone()]
    );
    ok(&host, "DELETE", &format!("/Groups/{large}"), None);
    // Gone for a reader at once, although its edges are not.
    assert_eq!(values(&ok(&host, "GET", &format!("/Users/{}", ids[0]), None), "groups"), [small]);
    for i in 0..4 {
        create(&host, &format!("sweeper{i}"));
    }
    assert!(counter(&host, &ids[1]).is_member());
    assert!(ids[2..].iter().all(|id| !counter(&host, id).is_member()));
}
