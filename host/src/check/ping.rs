//! Ping (PingOne, PingFederate): users by PUT, matching by e-mail, groups found by reading all pages.

use serde_json::json;

use super::catalogue::{Check, Provider, Severity};
use super::exchange::{Played, Stop};
use super::session::{Session, plain_user};

/// So many groups are read at most.
const GROUPS: u64 = 2000;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "ping-create",
        provider: Provider::Ping,
        title: "Create a user, then match it by userName and by e-mail",
        reference: "PingOne: SCIM outbound, unique identifier userName or workEmail",
        severity: Severity::Breaks,
        breaks: "Existing users are not linked, and are created again.",
        fix: "Support filters on emails and emails.value.",
        play: create,
    },
    Check {
        id: "ping-update",
        provider: Provider::Ping,
        title: "Update a user by PUT with all its attributes",
        reference: "PingOne: SCIM outbound, update by PUT",
        severity: Severity::Breaks,
        breaks: "Changes never arrive.",
        fix: "Support PUT on /Users/{id}.",
        play: update,
    },
    Check {
        id: "ping-disable",
        provider: Provider::Ping,
        title: "Disable and enable a user by PUT",
        reference: "PingOne: deprovision action Disable",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access.",
        fix: "Take `active` from PUT.",
        play: disable,
    },
    Check {
        id: "ping-group-match",
        provider: Provider::Ping,
        title: "Find a group by reading all pages",
        reference: "PingFederate: group matching; RFC 7644 §3.4.2.4",
        severity: Severity::Breaks,
        breaks: "The group is not found and is created again in each cycle.",
        fix: "Page through groups in a stable order, and tell the true total.",
        play: group_match,
    },
    Check {
        id: "ping-group-members",
        provider: Provider::Ping,
        title: "Change members by PATCH, then the whole group by PUT",
        reference: "PingFederate: group provisioning, PATCH or PUT",
        severity: Severity::Breaks,
        breaks: "Memberships do not arrive in one of the two modes.",
        fix: "Support both on /Groups/{id}.",
        play: group_members,
    },
];

fn create(s: &mut Session) -> Played {
    let body = plain_user(&s.mail("create"));
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    let user = s.created(&answer)?;
    s.find("/Users", "userName", &user.name)?.found(&[&user])?;
    s.find("/Users", "emails", &user.name)?.found(&[&user])?;
    s.find("/Users", "emails.value", &user.name)?.found(&[&user])?;
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let user = s.user("update")?;
    let mut body = plain_user(&user.name);
    body["title"] = json!("Engineer");
    body["name"]["familyName"] = json!("Leigh");
    s.put(&user, &body)?.status(&[200, 204])?;
    s.read(&user)?.resource()?.keeps(&body)?;
    Ok(())
}

fn disable(s: &mut Session) -> Played {
    let user = s.user("disable")?;
    for active in [false, true] {
        let mut body = plain_user(&user.name);
        body["active"] = json!(active);
        s.put(&user, &body)?.status(&[200, 204])?;
        s.read(&user)?.resource()?.is("/active", active)?;
    }
    Ok(())
}

fn group_match(s: &mut Session) -> Played {
    let groups = [s.group("one", &[])?, s.group("two", &[])?, s.group("three", &[])?];
    let (mut start, mut seen) = (1, Vec::new());
    // Small pages, so that there are several on a server that has no other groups.
    let mut size = 2;
    loop {
        let page = s.get(&format!("/Groups?startIndex={start}&count={size}"))?;
        let list = page.list()?;
        if list.total > GROUPS {
            return Err(Stop::Skipped(format!("there are more than {GROUPS} groups")));
        }
        if list.total > 20 {
            size = 100;
        }
        seen.extend(list.ids().map(str::to_owned));
        start += list.resources.len() as u64;
        if list.resources.is_empty() || start > list.total {
            let missing = groups.iter().find(|group| seen.iter().filter(|id| **id == group.id).count() != 1);
            return match missing {
                None => Ok(()),
                Some(group) => Err(page.fail(format!("expected group \"{}\" once in all pages", group.name))),
            };
        }
    }
}

fn group_members(s: &mut Session) -> Played {
    let (one, two) = (s.user("one")?, s.user("two")?);
    let group = s.group("group", &[])?;
    s.patch(&group, &json!([{ "op": "add", "path": "members", "value": [one.member()] }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": group.name,
        "members": [two.member()],
    });
    s.put(&group, &body)?.status(&[200, 204])?;
    s.read(&group)?.members_are(&[&two])?;
    Ok(())
}
