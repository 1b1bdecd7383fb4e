//! Okta: wizard applications write by PUT, catalogue applications by path-less PATCH; users are deactivated, never deleted.

use serde_json::{Value, json};

use super::catalogue::{Check, Provider, Severity};
use super::exchange::{Made, Played, Stop};
use super::expect::ensure;
use super::session::Session;
use crate::command::encoded;

/// Okta's import reads everything; so does this check, up to this many users.
const IMPORT: u64 = 2000;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "okta-test-connection",
        provider: Provider::Okta,
        title: "Test Connector Configuration: GET /Users?startIndex=1&count=2",
        reference: "Okta: SCIM test and save To App; RFC 7644 §3.4.2",
        severity: Severity::Breaks,
        breaks: "The integration can't be saved.",
        fix: "Answer 200 with a ListResponse: integers for totalResults, startIndex and itemsPerPage, and an array Resources.",
        play: test_connection,
    },
    Check {
        id: "okta-create",
        provider: Provider::Okta,
        title: "Assign a user: look for userName, create with externalId, locale, groups and a placeholder password",
        reference: "Okta: Create Users (POST /Users)",
        severity: Severity::Breaks,
        breaks: "Nobody who is assigned in Okta gets an account.",
        fix: "Accept the whole body, ignore `groups`, keep externalId, and answer 201 with the user.",
        play: create,
    },
    Check {
        id: "okta-create-existing",
        provider: Provider::Okta,
        title: "Assign a user who is there already: 409, then found by userName",
        reference: "Okta: Create Users; RFC 7644 §3.3",
        severity: Severity::Breaks,
        breaks: "Okta can't link accounts that exist, or makes second ones.",
        fix: "Answer 409 uniqueness, and find the user by userName eq with startIndex and count.",
        play: create_existing,
    },
    Check {
        id: "okta-update-put",
        provider: Provider::Okta,
        title: "Update a profile: PUT that echoes id, meta and groups",
        reference: "Okta: Update a specific User (PUT); RFC 7644 §3.5.1",
        severity: Severity::Breaks,
        breaks: "Profile changes never arrive: Okta sends back what it has read, with changes.",
        fix: "Ignore readOnly attributes in PUT; keep the server's own meta.",
        play: update_put,
    },
    Check {
        id: "okta-rename-user",
        provider: Provider::Okta,
        title: "Rename a user by PUT; the id stays",
        reference: "Okta: Update a specific User (PUT)",
        severity: Severity::Breaks,
        breaks: "Whoever marries gets a second account, or loses the first.",
        fix: "Let userName change, and keep the id.",
        play: rename_user,
    },
    Check {
        id: "okta-username-conflict",
        provider: Provider::Okta,
        title: "PUT with another user's userName is 409, and changes nothing",
        reference: "Okta: SCIM 2.0 OpenAPI, PUT /Users/{id} 409",
        severity: Severity::Breaks,
        breaks: "One account takes over another's name.",
        fix: "Check uniqueness in PUT and PATCH as in POST, without case.",
        play: username_conflict,
    },
    Check {
        id: "okta-deactivate",
        provider: Provider::Okta,
        title: "Unassign and assign again: path-less PATCH of active, user visible throughout",
        reference: "Okta: Update a specific User (PATCH); RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access, or those who return can't be reactivated.",
        fix: "Apply {\"op\":\"replace\",\"value\":{\"active\":false}}, and go on showing the user.",
        play: deactivate,
    },
    Check {
        id: "okta-deactivate-put",
        provider: Provider::Okta,
        title: "Unassign by PUT with active false; memberships stay",
        reference: "Okta: wizard applications (PUT /Users/{id})",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access; or they return without their groups.",
        fix: "Take `active` from PUT, and leave memberships alone.",
        play: deactivate_put,
    },
    Check {
        id: "okta-password",
        provider: Provider::Okta,
        title: "Password synchronisation: path-less PATCH of password",
        reference: "Okta: Sync Password; RFC 7643 §4.1.1",
        severity: Severity::Degrades,
        breaks: "Okta shows an error for each user whose password changes.",
        fix: "Accept `password` in PATCH, use it or drop it, and never return it.",
        play: password,
    },
    Check {
        id: "okta-import",
        provider: Provider::Okta,
        title: "Import users: pages of 100, each user once, inactive ones too",
        reference: "Okta: Retrieve Users (GET /Users?startIndex=…&count=100)",
        severity: Severity::Breaks,
        breaks: "A user who is missing from an import counts as deleted in Okta.",
        fix: "Page in a stable order with a true totalResults; include inactive users.",
        play: import,
    },
    Check {
        id: "okta-group-push",
        provider: Provider::Okta,
        title: "Push a group: look for its name, create it, add members, remove one",
        reference: "Okta: Group Push (POST and PATCH /Groups)",
        severity: Severity::Breaks,
        breaks: "Group Push ends with an error, or groups are without members.",
        fix: "Support displayName eq, POST, add with path members, and remove by members[value eq \"id\"].",
        play: group_push,
    },
    Check {
        id: "okta-group-rename",
        provider: Provider::Okta,
        title: "Rename a pushed group: path-less PATCH of id and displayName; members stay",
        reference: "Okta: Update a specific Group name (PATCH)",
        severity: Severity::Breaks,
        breaks: "The rename fails because the value has an id, or the group loses its members.",
        fix: "Ignore an `id` equal to the resource's in a PATCH value, and touch only what is named.",
        play: group_rename,
    },
    Check {
        id: "okta-group-push-empty",
        provider: Provider::Okta,
        title: "Push now, of a group that has become empty: replace members by []",
        reference: "Okta: Push now; RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "People keep the access that the group gave.",
        fix: "Take an empty array for no members.",
        play: group_push_empty,
    },
    Check {
        id: "okta-group-put",
        provider: Provider::Okta,
        title: "Wizard applications write groups by PUT, name and members at once",
        reference: "Okta: Update a specific Group (PUT)",
        severity: Severity::Breaks,
        breaks: "Pushed groups never change.",
        fix: "Support PUT on /Groups/{id} with the whole list of members.",
        play: group_put,
    },
    Check {
        id: "okta-group-delete",
        provider: Provider::Okta,
        title: "Unlink a pushed group and delete it",
        reference: "Okta: Delete a specific Group (DELETE)",
        severity: Severity::Degrades,
        breaks: "The group stays, or pushing one of the same name later fails.",
        fix: "Answer 204, then 404; find it no longer by displayName.",
        play: group_delete,
    },
];

/// A user as Okta creates it.
fn okta_user(name: &str, external: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "name": { "givenName": "Test", "familyName": "User" },
        "emails": [{ "primary": true, "value": name, "type": "work" }],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": external,
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    })
}

fn user(s: &mut Session, label: &str) -> Result<Made, Stop> {
    let body = okta_user(&s.mail(label), &s.name(label));
    s.given("/Users", &body)
}

/// Okta's search: with pages, always.
fn look_up(s: &mut Session, endpoint: &str, attribute: &str, name: &str) -> Result<super::exchange::Answer, Stop> {
    let filter = encoded(&format!("{attribute} eq \"{name}\""));
    s.get(&format!("{endpoint}?filter={filter}&startIndex=1&count=100"))
}

fn test_connection(s: &mut Session) -> Played {
    let answer = s.get("/Users?startIndex=1&count=2")?;
    let list = answer.list()?;
    ensure(list.resources.len() <= 2, &answer, "expected two resources at most")?;
    ensure(answer.json["Resources"].is_array(), &answer, "expected an array Resources, empty where there is nobody")?;
    answer.is("/startIndex", 1)?.has("/itemsPerPage")?;
    Ok(())
}

fn create(s: &mut Session) -> Played {
    let name = s.mail("assign");
    look_up(s, "/Users", "userName", &name)?.found(&[])?;
    let body = okta_user(&name, &s.name("assign"));
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    let user = s.created(&answer)?;
    s.read(&user)?.resource()?.keeps(&body)?;
    look_up(s, "/Users", "userName", &name)?.found(&[&user])?;
    Ok(())
}

fn create_existing(s: &mut Session) -> Played {
    let there = user(s, "there")?;
    s.create("/Users", &okta_user(&there.name, "another"))?.status(&[409])?;
    look_up(s, "/Users", "userName", &there.name)?.found(&[&there])?;
    Ok(())
}

fn update_put(s: &mut Session) -> Played {
    let user = user(s, "profile")?;
    let read = s.read(&user)?;
    let mut body = read.resource()?.json.clone();
    let elsewhere = "https://elsewhere.invalid/scim/v2/Users/1";
    body["meta"] = json!({ "resourceType": "User", "created": "2018-02-13T15:05:24.000-08:00", "location": elsewhere });
    body["groups"] = json!([]);
    body["name"]["givenName"] = json!("Another");
    body["displayName"] = json!("Another User");
    s.put(&user, &body)?.resource()?.is("/name/givenName", "Another")?;
    let read = s.read(&user)?;
    read.resource()?.is("/displayName", "Another User")?.is("/id", user.id)?.is("/name/familyName", "User")?;
    ensure(read.json["meta"]["location"] != elsewhere, &read, "expected the server's own meta.location")
}

fn rename_user(s: &mut Session) -> Played {
    let user = user(s, "before")?;
    let renamed = s.mail("after");
    let mut body = okta_user(&renamed, &s.name("before"));
    body["id"] = json!(user.id);
    s.put(&user, &body)?.resource()?.is_name("/userName", &renamed)?;
    s.read(&user)?.resource()?.is_name("/userName", &renamed)?.is("/id", user.id.as_str())?;
    look_up(s, "/Users", "userName", &user.name)?.found(&[])?;
    Ok(())
}

fn username_conflict(s: &mut Session) -> Played {
    let (own, other) = (user(s, "own")?, user(s, "other")?);
    let body = okta_user(&own.name.replace("-own@", "-OWN@"), "other");
    s.put(&other, &body)?.error_type(409, &["uniqueness"])?;
    s.read(&other)?.resource()?.is_name("/userName", &other.name)?;
    Ok(())
}

fn deactivate(s: &mut Session) -> Played {
    let user = user(s, "unassign")?;
    for active in [false, true] {
        s.patch(&user, &json!([{ "op": "replace", "value": { "active": active } }]))?.patched()?;
        let read = s.read(&user)?;
        read.resource()?.is("/active", active)?.is_name("/userName", &user.name)?.is("/name/givenName", "Test")?;
        let found = look_up(s, "/Users", "userName", &user.name)?;
        found.found(&[&user])?;
        found.is("/Resources/0/active", active)?;
    }
    Ok(())
}

fn deactivate_put(s: &mut Session) -> Played {
    let user = user(s, "unassign")?;
    let group = s.group("kept", &[&user])?;
    for active in [false, true] {
        let mut body = okta_user(&user.name, &s.name("unassign"));
        body["id"] = json!(user.id);
        body["active"] = json!(active);
        s.put(&user, &body)?.resource()?.is("/active", active)?;
        s.read(&user)?.resource()?.is("/active", active)?;
        s.read(&group)?.members_are(&[&user])?;
    }
    Ok(())
}

fn password(s: &mut Session) -> Played {
    let user = user(s, "password")?;
    let changed = s.patch(&user, &json!([{ "op": "replace", "value": { "password": "n3w-Pa55word!" } }]))?;
    changed.patched()?;
    for answer in [changed, s.read(&user)?] {
        ensure(!answer.exchange.body.contains("n3w-Pa55word!"), &answer, "expected no password in the answer")?;
    }
    Ok(())
}

fn import(s: &mut Session) -> Played {
    let (one, two) = (user(s, "active")?, user(s, "inactive")?);
    s.patch(&two, &json!([{ "op": "replace", "value": { "active": false } }]))?.patched()?;
    let (mut start, mut seen) = (1, Vec::new());
    loop {
        let page = s.get(&format!("/Users?startIndex={start}&count=100"))?;
        let list = page.list()?;
        if list.total > IMPORT {
            return Err(Stop::Skipped(format!("there are more than {IMPORT} users")));
        }
        seen.extend(list.ids().map(str::to_owned));
        start += list.resources.len() as u64;
        if list.resources.is_empty() || start > list.total {
            for (user, what) in [(&one, "active"), (&two, "inactive")] {
                let times = seen.iter().filter(|id| **id == user.id).count();
                ensure(
                    times == 1,
                    &page,
                    &format!("expected the {what} user once in all pages, found it {times} times"),
                )?;
            }
            return Ok(());
        }
    }
}

fn group_push(s: &mut Session) -> Played {
    let (one, two) = (user(s, "one")?, user(s, "two")?);
    let name = s.name("push");
    look_up(s, "/Groups", "displayName", &name)?.found(&[])?;
    let body =
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": [] });
    let answer = s.create("/Groups", &body)?;
    let group = s.created(&answer)?;
    let members = json!([{ "value": one.id, "display": one.name }, { "value": two.id, "display": two.name }]);
    s.patch(&group, &json!([{ "op": "add", "path": "members", "value": members }]))?.patched()?;
    s.read(&group)?.members_are(&[&one, &two])?.is("/displayName", name.as_str())?;
    let leaves = format!("members[value eq \"{}\"]", one.id);
    s.patch(&group, &json!([{ "op": "remove", "path": leaves }]))?.patched()?;
    s.read(&group)?.members_are(&[&two])?;
    look_up(s, "/Groups", "displayName", &name)?.found(&[&group])?;
    Ok(())
}

fn group_rename(s: &mut Session) -> Played {
    let one = user(s, "one")?;
    let group = s.group("before", &[&one])?;
    let renamed = s.name("after");
    let value = json!({ "id": group.id, "displayName": renamed });
    s.patch(&group, &json!([{ "op": "replace", "value": value }]))?.patched()?;
    s.read(&group)?.members_are(&[&one])?.is("/displayName", renamed)?.is("/id", group.id.as_str())?;
    Ok(())
}

fn group_push_empty(s: &mut Session) -> Played {
    let one = user(s, "one")?;
    let group = s.group("empty", &[&one])?;
    s.patch(&group, &json!([{ "op": "replace", "path": "members", "value": [] }]))?.patched()?;
    s.read(&group)?.members_are(&[])?.is("/displayName", group.name.as_str())?;
    Ok(())
}

fn group_put(s: &mut Session) -> Played {
    let (one, two) = (user(s, "one")?, user(s, "two")?);
    let group = s.group("put", &[&one])?;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "id": group.id,
        "displayName": group.name,
        "members": [{ "value": one.id, "display": one.name }, { "value": two.id, "display": two.name }],
    });
    s.put(&group, &body)?.status(&[200, 204])?;
    s.read(&group)?.members_are(&[&one, &two])?;
    Ok(())
}

fn group_delete(s: &mut Session) -> Played {
    let group = s.group("unlink", &[])?;
    s.delete(&group)?.status(&[204])?;
    s.read(&group)?.error(&[404])?;
    look_up(s, "/Groups", "displayName", &group.name)?.found(&[])?;
    s.group("unlink", &[])?;
    Ok(())
}
