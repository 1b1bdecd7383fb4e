//! What Entra ID does with groups.

use serde_json::{Value, json};

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Made, Played};
use super::super::expect::ensure;
use super::super::session::Session;
use super::look_up;

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "entra-group-create",
        provider: Provider::Entra,
        title: "Create a group without members, then match it exactly, with excludedAttributes=members",
        reference: "Entra ID: Create Group, Get Group by displayName",
        severity: Severity::Breaks,
        breaks: "Groups are created in every cycle, or a group whose name begins alike is taken for it.",
        fix: "Accept a group without members, and compare displayName as a whole.",
        play: create,
    },
    Check {
        id: "entra-group-add",
        provider: Provider::Entra,
        title: "Add members with $ref null, several at once, and again",
        reference: "Entra ID: Update Group [Add Members]",
        severity: Severity::Breaks,
        breaks: "Memberships fail, or are there twice.",
        fix: "Ignore a null $ref, accept several values, treat membership as a set.",
        play: add,
    },
    Check {
        id: "entra-group-remove-by-value",
        provider: Provider::Entra,
        title: "Remove one member: path members, the id in value",
        reference: "Entra ID: Update Group [Remove Members] (without the feature flag); RFC 7644 §3.5.2.2",
        severity: Severity::Breaks,
        breaks: "One person leaves a group, and everybody in it loses access.",
        fix: "Where remove has a `value`, remove only the members that it lists.",
        play: remove_by_value,
    },
    Check {
        id: "entra-group-remove-by-filter",
        provider: Provider::Entra,
        title: "Remove one member: members[value eq \"id\"]",
        reference: "Entra ID: feature flag aadOptscim062020; RFC 7644 §3.5.2.2",
        severity: Severity::Breaks,
        breaks: "People keep the access that the group gives.",
        fix: "Support value filters in paths of members.",
        play: remove_by_filter,
    },
    Check {
        id: "entra-group-remove-stranger",
        provider: Provider::Entra,
        title: "Removing somebody who is no member succeeds",
        reference: "Entra ID: retries; RFC 7644 §3.5.2.2",
        severity: Severity::Degrades,
        breaks: "The retry of a removal fails for ever, and stays among the job's errors.",
        fix: "Answer 200 or 204; the group is as it should be.",
        play: remove_stranger,
    },
    Check {
        id: "entra-group-update",
        provider: Provider::Entra,
        title: "SCIM Validator: externalId and displayName without a path; members stay",
        reference: "Entra SCIM Validator: PATCH /Groups; RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "Renaming a group empties it.",
        fix: "Touch only the attributes that the value names.",
        play: update,
    },
    Check {
        id: "entra-group-add-and-remove",
        provider: Provider::Entra,
        title: "SCIM Validator: add and remove of one member in one PATCH",
        reference: "Entra SCIM Validator: PATCH /Groups",
        severity: Severity::Degrades,
        breaks: "The application does not pass the validator for the gallery.",
        fix: "Apply operations in order, each to the result of the one before.",
        play: add_and_remove,
    },
    Check {
        id: "entra-group-membership-test",
        provider: Provider::Entra,
        title: "Is she a member? id eq … and members eq …",
        reference: "Entra ID: requests about reference attributes; AWS-style clients",
        severity: Severity::Degrades,
        breaks: "The provider can't tell whether a membership is there, and sends it again, or never removes it.",
        fix: "Support members eq \"id\" (the same as members.value) together with `and`.",
        play: membership_test,
    },
    Check {
        id: "entra-group-members-null",
        provider: Provider::Entra,
        title: "Replace members by null clears the group",
        reference: "RFC 7643 §2.5; reported of Entra ID",
        severity: Severity::Cosmetic,
        breaks: "The group keeps its members.",
        fix: "Take null for no value.",
        play: members_null,
    },
    Check {
        id: "entra-group-large",
        provider: Provider::Entra,
        title: "A group of more than 100 members: all listed, and one more added, in time",
        reference: "Entra ID: groups of any size; RFC 7644 §3.4.1 (no paging of members)",
        severity: Severity::Breaks,
        breaks: "Members beyond a limit lose access without a word, or requests time out (Keycloak waits 5 seconds).",
        fix: "Do not cut `members` short; make the cost of a PATCH that of its change, not of the group.",
        play: large,
    },
];

fn value(made: &Made) -> Value {
    json!({ "$ref": null, "value": made.id })
}

fn create(s: &mut Session) -> Played {
    let name = s.name("team");
    let longer = s.group("team-longer", &[])?;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "externalId": s.name("external"),
        "displayName": name,
        "meta": { "resourceType": "Group" },
    });
    let answer = s.create("/Groups", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    let group = s.created(&answer)?;
    for expected in [&group, &longer] {
        let found =
            look_up(s, "/Groups", &format!("displayName eq \"{}\"", expected.name), "&excludedAttributes=members")?;
        found.found(&[expected])?;
    }
    s.get(&format!("{}?excludedAttributes=members", group.path()))?.resource()?.is("/id", group.id)?;
    Ok(())
}

fn add(s: &mut Session) -> Played {
    let (one, two, three) = (s.user("one")?, s.user("two")?, s.user("three")?);
    let group = s.group("team", &[&one])?;
    for _ in 0..2 {
        let members = json!([value(&two), value(&three)]);
        s.patch(&group, &json!([{ "op": "Add", "path": "members", "value": members }]))?.patched()?;
        s.read(&group)?.members_are(&[&one, &two, &three])?;
    }
    Ok(())
}

fn remove_by_value(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("team", &[&one, &two])?;
    s.patch(&group, &json!([{ "op": "Remove", "path": "members", "value": [value(&one)] }]))?.patched()?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}

fn remove_by_filter(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("team", &[&one, &two])?;
    let path = format!("members[value eq \"{}\"]", one.id);
    s.patch(&group, &json!([{ "op": "remove", "path": path }]))?.patched()?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}

fn remove_stranger(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("team", &[&one])?;
    s.patch(&group, &json!([{ "op": "Remove", "path": "members", "value": [value(&two)] }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?;
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("team", &[&one])?;
    let (external, renamed) = (s.name("external"), s.name("renamed"));
    s.patch(&group, &json!([{ "op": "replace", "value": { "externalId": external } }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?.is("/externalId", external)?.is("/displayName", group.name.as_str())?;
    s.patch(&group, &json!([{ "op": "replace", "value": { "displayName": renamed } }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?.is("/displayName", renamed)?;
    Ok(())
}

fn add_and_remove(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("team", &[&one])?;
    let changed = s.patch(
        &group,
        &json!([
            { "op": "add", "path": "members", "value": [two.member()] },
            { "op": "remove", "path": format!("members[value eq \"{}\"]", two.id) },
        ]),
    )?;
    changed.patched()?;
    s.read(&group)?.members_are(&[&one])?;
    Ok(())
}

fn membership_test(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("team", &[&one])?;
    let test = |user: &Made| format!("id eq \"{}\" and members eq \"{}\"", group.id, user.id);
    look_up(s, "/Groups", &test(&one), "")?.found(&[&group])?;
    look_up(s, "/Groups", &test(&two), "")?.found(&[])?;
    Ok(())
}

fn members_null(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("team", &[&one])?;
    s.patch(&group, &json!([{ "op": "Replace", "path": "members", "value": null }]))?.patched()?;
    s.read(&group)?.members_are(&[])?;
    Ok(())
}

fn large(s: &mut Session) -> Played {
    let users = s.users("member", 105)?;
    let Some((last, first)) = users.split_last() else { return Ok(()) };
    let group = s.group("team", &first.iter().collect::<Vec<_>>())?;
    s.read(&group)?.members_are(&first.iter().collect::<Vec<_>>())?;
    let added = s.patch(&group, &json!([{ "op": "Add", "path": "members", "value": [value(last)] }]))?;
    added.patched()?;
    let (took, patience) = (added.exchange.took, s.patience);
    let late = format!("expected an answer within {} seconds, found {}", patience.as_secs(), took.as_secs());
    ensure(took <= patience, &added, &late)?;
    s.read(&group)?.members_are(&users.iter().collect::<Vec<_>>())?;
    Ok(())
}
