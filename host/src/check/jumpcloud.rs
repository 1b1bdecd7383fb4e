//! JumpCloud: makes and deletes a test user and a test group when the integration is activated; removes members by value.

use serde_json::{Value, json};

use super::catalogue::{Check, Provider, Severity};
use super::exchange::Played;
use super::expect::ensure;
use super::session::{Session, plain_user};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "jumpcloud-activate",
        provider: Provider::JumpCloud,
        title: "Activate: test user and test group are created, updated and deleted",
        reference: "JumpCloud: Identity Management, Test Connection and Activate",
        severity: Severity::Breaks,
        breaks: "The integration can't be activated.",
        fix: "Support creating, changing and deleting users and groups, with ids that are JSON strings.",
        play: activate,
    },
    Check {
        id: "jumpcloud-update",
        provider: Provider::JumpCloud,
        title: "Update a user: one operation an attribute, active among them",
        reference: "JumpCloud: Update user (PATCH); RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "Changes and suspensions do not arrive.",
        fix: "Support replace with attribute and sub-attribute paths.",
        play: update,
    },
    Check {
        id: "jumpcloud-suspend-put",
        provider: Provider::JumpCloud,
        title: "Suspend a user by PUT, and find it still",
        reference: "JumpCloud: Update user (PUT)",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access, or those who return are created again.",
        fix: "Take `active` from PUT, and list inactive users.",
        play: suspend,
    },
    Check {
        id: "jumpcloud-members",
        provider: Provider::JumpCloud,
        title: "Add a member, remove it by path members and value",
        reference: "JumpCloud: group membership (PATCH); departs from RFC 7644 §3.5.2.2",
        severity: Severity::Breaks,
        breaks: "One person leaves a group, and everybody in it loses access.",
        fix: "Where remove has a `value`, remove only the members that it lists.",
        play: members,
    },
];

fn activate(s: &mut Session) -> Played {
    let name = s.mail("test");
    s.find("/Users", "userName", &name)?.found(&[])?;
    let answer = s.create("/Users", &plain_user(&name))?;
    let user = s.created(&answer)?;
    ensure(answer.json["id"].is_string(), &answer, "expected id to be a JSON string")?;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": s.name("group"),
        "members": [],
    });
    let answer = s.create("/Groups", &body)?;
    let group = s.created(&answer)?;
    ensure(answer.json["id"].is_string(), &answer, "expected id to be a JSON string")?;
    let renamed = s.name("group-2");
    s.patch(&group, &json!([{ "op": "replace", "path": "displayName", "value": renamed }]))?.patched()?;
    s.read(&group)?.resource()?.is("/displayName", renamed)?;
    for made in [&group, &user] {
        s.delete(made)?.status(&[204])?;
        s.read(made)?.error(&[404])?;
    }
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let user = s.user("update")?;
    let changed = s.patch(
        &user,
        &json!([
            { "op": "replace", "path": "name.givenName", "value": "John" },
            { "op": "replace", "path": "name.familyName", "value": "Doe" },
            { "op": "replace", "path": "active", "value": false },
        ]),
    )?;
    changed.patched()?;
    s.read(&user)?.resource()?.is("/name/givenName", "John")?.is("/name/familyName", "Doe")?.is("/active", false)?;
    Ok(())
}

fn suspend(s: &mut Session) -> Played {
    let user = s.user("suspend")?;
    let mut body = plain_user(&user.name);
    body["active"] = json!(false);
    s.put(&user, &body)?.status(&[200, 204])?;
    let found = s.find("/Users", "userName", &user.name)?;
    found.found(&[&user])?;
    found.is("/Resources/0/active", Value::Bool(false))?;
    Ok(())
}

fn members(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[&two])?;
    s.patch(&group, &json!([{ "op": "add", "path": "members", "value": [one.member()] }]))?.patched()?;
    s.read(&group)?.members_are(&[&one, &two])?;
    s.patch(&group, &json!([{ "op": "remove", "path": "members", "value": [one.member()] }]))?.patched()?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}
