//! Groups and membership (RFC 7643 §4.2; RFC 7644 §3.5.2).

use serde_json::{Value, json};

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Made, Played};
use super::super::expect::ensure;
use super::super::session::Session;

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-group-create",
        provider: Provider::Rfc,
        title: "A group is created with its members, read and found by displayName",
        reference: "RFC 7643 §4.2; RFC 7644 §3.3",
        severity: Severity::Breaks,
        breaks: "Groups can't be pushed; access that depends on them is never given.",
        fix: "Support /Groups with displayName and members, and eq on displayName.",
        play: create,
    },
    Check {
        id: "rfc-group-members",
        provider: Provider::Rfc,
        title: "PATCH adds members, and removes the one that a filter names",
        reference: "RFC 7644 §3.5.2.1, §3.5.2.2",
        severity: Severity::Breaks,
        breaks: "People keep access after they have left a group, or never get it.",
        fix: "Support add with path members, and remove with members[value eq \"id\"].",
        play: members,
    },
    Check {
        id: "rfc-group-idempotent",
        provider: Provider::Rfc,
        title: "Adding a member again, and removing one that isn't, succeed and change nothing",
        reference: "RFC 7644 §3.5.2.1",
        severity: Severity::Degrades,
        breaks: "Retries never converge: the provider reports errors for ever, or members are there twice.",
        fix: "Treat membership as a set; answer 200 or 204.",
        play: idempotent,
    },
    Check {
        id: "rfc-group-clear",
        provider: Provider::Rfc,
        title: "remove of members, and replace by an empty array, clear the group",
        reference: "RFC 7644 §3.5.2.2, §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "A group that was emptied in the directory keeps its members here, and their access.",
        fix: "Take an empty array for no members.",
        play: clear,
    },
    Check {
        id: "rfc-group-partial",
        provider: Provider::Rfc,
        title: "Changing displayName leaves the members",
        reference: "RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "Renaming a group takes everybody's access away.",
        fix: "Touch only the attributes that the operation names.",
        play: partial,
    },
    Check {
        id: "rfc-group-put",
        provider: Provider::Rfc,
        title: "PUT replaces name and members",
        reference: "RFC 7644 §3.5.1",
        severity: Severity::Breaks,
        breaks: "Clients that write groups by PUT (Okta's wizard applications, Ping, Keycloak) change nothing.",
        fix: "Support PUT on /Groups/{id}, members included.",
        play: put,
    },
    Check {
        id: "rfc-user-groups",
        provider: Provider::Rfc,
        title: "User.groups shows the groups",
        reference: "RFC 7643 §4.1.2 (groups, readOnly)",
        severity: Severity::Cosmetic,
        breaks: "SailPoint and others that read entitlements from users see none.",
        fix: "Return groups with value and display on users, computed from the groups.",
        play: user_groups,
    },
    Check {
        id: "rfc-group-deleted-member",
        provider: Provider::Rfc,
        title: "A deleted user is no longer a member",
        reference: "RFC 7644 §3.6; RFC 7643 §4.2",
        severity: Severity::Degrades,
        breaks: "The provider finds members that don't exist and fails to reconcile the group.",
        fix: "Remove memberships along with the user.",
        play: deleted_member,
    },
    Check {
        id: "rfc-group-delete",
        provider: Provider::Rfc,
        title: "DELETE removes the group, and not its members",
        reference: "RFC 7644 §3.6",
        severity: Severity::Breaks,
        breaks: "Unlinking a group deletes accounts; or the group stays and keeps its name taken.",
        fix: "Delete the group and its memberships alone; answer 204.",
        play: delete,
    },
    Check {
        id: "rfc-group-inactive-member",
        provider: Provider::Rfc,
        title: "Deactivating a member keeps the membership",
        reference: "RFC 7643 §4.1.1 (active)",
        severity: Severity::Degrades,
        breaks: "Whoever is reactivated has lost all groups, and the provider doesn't send them again.",
        fix: "Leave memberships alone when `active` changes.",
        play: inactive_member,
    },
];

fn add(made: &Made) -> Value {
    json!({ "op": "add", "path": "members", "value": [made.member()] })
}

fn remove(made: &Made) -> Value {
    json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", made.id) })
}

fn create(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": s.name("group"),
        "members": [one.member(), two.member()],
    });
    let answer = s.create("/Groups", &body)?;
    answer.status(&[201])?.is("/meta/resourceType", "Group")?.has("/id")?;
    let group = s.created(&answer)?;
    let read = s.read(&group)?;
    read.members_are(&[&one, &two])?.is("/displayName", group.name.as_str())?;
    s.find("/Groups", "displayName", &group.name)?.found(&[&group])?;
    Ok(())
}

fn members(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&one])?;
    s.patch(&group, &json!([add(&two)]))?.patched()?;
    s.read(&group)?.members_are(&[&one, &two])?;
    s.patch(&group, &json!([remove(&one)]))?.patched()?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}

fn idempotent(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&one])?;
    s.patch(&group, &json!([add(&one)]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?;
    s.patch(&group, &json!([remove(&two)]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?;
    Ok(())
}

fn clear(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&one, &two])?;
    s.patch(&group, &json!([{ "op": "replace", "path": "members", "value": [] }]))?.patched()?;
    s.read(&group)?.members_are(&[])?.is("/displayName", group.name.as_str())?;
    let other = s.group("other", &[&one])?;
    s.patch(&other, &json!([{ "op": "remove", "path": "members" }]))?.patched()?;
    s.read(&other)?.members_are(&[])?;
    Ok(())
}

fn partial(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("group", &[&one])?;
    let renamed = s.name("renamed");
    s.patch(&group, &json!([{ "op": "replace", "path": "displayName", "value": renamed }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?.is("/displayName", renamed)?;
    Ok(())
}

fn put(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&one])?;
    let renamed = s.name("renamed");
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "id": group.id,
        "displayName": renamed,
        "members": [two.member()],
    });
    s.put(&group, &body)?.status(&[200, 204])?;
    s.read(&group)?.members_are(&[&two])?.is("/displayName", renamed)?;
    Ok(())
}

fn user_groups(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("group", &[&one])?;
    let read = s.read(&one)?;
    read.resource()?.values_are("/groups", &[&group.id])?;
    Ok(())
}

fn deleted_member(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&one, &two])?;
    s.delete(&one)?.status(&[204])?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}

fn delete(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("group", &[&one])?;
    s.delete(&group)?.status(&[204])?;
    s.read(&group)?.error(&[404])?;
    s.find("/Groups", "displayName", &group.name)?.found(&[])?;
    let read = s.read(&one)?;
    ensure(read.resource()?.json["id"].is_string(), &read, "expected the member to be there still")
}

fn inactive_member(s: &mut Session) -> Played {
    let one = s.user("one")?;
    let group = s.group("group", &[&one])?;
    for active in [false, true] {
        s.patch(&one, &json!([{ "op": "replace", "path": "active", "value": active }]))?.patched()?;
        s.read(&group)?.members_are(&[&one])?;
    }
    Ok(())
}
