//! Google Workspace: automatic provisioning of users; searches have a startIndex and no count.

use serde_json::json;

use super::catalogue::{Check, Provider, Severity};
use super::exchange::Played;
use super::session::{Session, plain_user};
use crate::command::encoded;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "google-probe",
        provider: Provider::Google,
        title: "Check of the access token: GET /Users?count=1",
        reference: "Google Workspace: automated user provisioning, authorisation",
        severity: Severity::Breaks,
        breaks: "Automatic provisioning can't be set up.",
        fix: "Answer 200 with a ListResponse of one user at most.",
        play: probe,
    },
    Check {
        id: "google-create",
        provider: Provider::Google,
        title: "Match by userName with startIndex and no count, create, and match again",
        reference: "Google Workspace: user provisioning; RFC 7644 §3.4.2.4",
        severity: Severity::Breaks,
        breaks: "Users are created again with each synchronisation, or not at all.",
        fix: "Let count be left out, and evaluate the filter.",
        play: create,
    },
    Check {
        id: "google-update",
        provider: Provider::Google,
        title: "Update a user by PUT, and by PATCH of several attributes",
        reference: "Google Workspace: user updates",
        severity: Severity::Breaks,
        breaks: "Changes of names and addresses do not arrive.",
        fix: "Support PUT and PATCH on /Users/{id}.",
        play: update,
    },
    Check {
        id: "google-suspend",
        provider: Provider::Google,
        title: "Suspend, restore, and delete after the grace period",
        reference: "Google Workspace: deprovisioning (suspend within, delete after)",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access.",
        fix: "Support active by PATCH, and DELETE.",
        play: suspend,
    },
];

fn probe(s: &mut Session) -> Played {
    s.user("probe")?;
    s.get("/Users?count=1")?.list()?.shows(1)?;
    Ok(())
}

fn create(s: &mut Session) -> Played {
    let name = s.mail("create");
    let search = format!("/Users?filter={}&startIndex=1", encoded(&format!("userName eq \"{name}\"")));
    s.get(&search)?.found(&[])?;
    let body = plain_user(&name);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    let user = s.created(&answer)?;
    s.get(&search)?.found(&[&user])?;
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let user = s.user("update")?;
    let mut body = plain_user(&user.name);
    body["name"]["familyName"] = json!("Leigh");
    s.put(&user, &body)?.status(&[200, 204])?;
    let value = json!({ "title": "Engineer", "name": { "givenName": "Anna", "familyName": "Leigh" } });
    s.patch(&user, &json!([{ "op": "replace", "value": value }]))?.patched()?;
    let read = s.read(&user)?;
    read.resource()?.is("/name/givenName", "Anna")?.is("/name/familyName", "Leigh")?.is("/title", "Engineer")?;
    Ok(())
}

fn suspend(s: &mut Session) -> Played {
    let user = s.user("suspend")?;
    for active in [false, true] {
        s.patch(&user, &json!([{ "op": "replace", "path": "active", "value": active }]))?.patched()?;
        s.read(&user)?.resource()?.is("/active", active)?;
    }
    s.delete(&user)?.status(&[204])?;
    s.read(&user)?.error(&[404])?;
    Ok(())
}
