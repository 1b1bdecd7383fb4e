//! Property: whatever is done to groups, the counter that spares a reader the search for edges tells whether there are any.

mod common;

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
        let host = TestHost::default();
        let users = (0..USERS).map(|i| create(&host, &format!("user{i}")));
        let mut ids: Vec<String> = users.collect();
        ids.extend((0..GROUPS).map(|i| group(&host, &format!("group{i}"), &[])));
        for step in &steps {
            take(&host, &ids, step);
            for id in &ids {
                let edges = host.memory.count(&keys::memberships(id)).unwrap();
                prop_assert_eq!(counter(&host, id).is_member(), edges > 0, "{:?}: {} has {} edges", step, id, edges);
            }
        }
    }
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
