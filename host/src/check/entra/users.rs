//! What Entra ID does with users.

use serde_json::{Value, json};

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Made, Played, Request, Stop};
use super::super::expect::{ENTERPRISE, ensure};
use super::super::session::Session;
use super::{look_up, matched};

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "entra-test-connection",
        provider: Provider::Entra,
        title: "Test Connection: a random userName is not found, with 200",
        reference: "Entra ID: Test Connection; RFC 7644 §3.4.2",
        severity: Severity::Breaks,
        breaks: "The credentials can't be saved; later, every cycle fails and the job is quarantined.",
        fix: "Decode `+` as a space in queries, and answer 200 with totalResults 0.",
        play: test_connection,
    },
    Check {
        id: "entra-create",
        provider: Provider::Entra,
        title: "Create a user with the default attribute mapping, then match it by userName and externalId",
        reference: "Entra ID: Create User; default attribute mapping",
        severity: Severity::Breaks,
        breaks: "Nobody in scope gets an account, or gets a new one in each cycle.",
        fix: "Accept the body, the enterprise extension among it, and find the user by both attributes.",
        play: create,
    },
    Check {
        id: "entra-create-duplicate",
        provider: Provider::Entra,
        title: "SCIM Validator: a second POST of the same user is 409 uniqueness",
        reference: "Entra SCIM Validator: duplicate user",
        severity: Severity::Degrades,
        breaks: "The application does not pass the validator for the gallery.",
        fix: "Answer 409 with scimType uniqueness.",
        play: create_duplicate,
    },
    Check {
        id: "entra-deactivate",
        provider: Provider::Entra,
        title: "Soft delete and restore: Replace active by \"False\", then by \"True\"",
        reference: "Entra ID: Disable User (without the feature flag); RFC 7643 §2.3.2",
        severity: Severity::Breaks,
        breaks: "People who have left keep their access: \"False\" is refused, or taken for true.",
        fix: "Accept booleans as strings in any case, and answer with JSON booleans.",
        play: deactivate,
    },
    Check {
        id: "entra-operation-case",
        provider: Provider::Entra,
        title: "Operations in capitals: Add, Replace, Remove",
        reference: "Entra ID: Update User; RFC 7644 §3.5.2",
        severity: Severity::Breaks,
        breaks: "No update arrives at all.",
        fix: "Compare `op` without case.",
        play: operation_case,
    },
    Check {
        id: "entra-update",
        provider: Provider::Entra,
        title: "Update several attributes in one PATCH, those of the enterprise extension too",
        reference: "Entra ID: Update User [Multi-valued properties, Single-valued properties]",
        severity: Severity::Breaks,
        breaks: "Names, titles and departments go out of date.",
        fix: "Support attribute paths, sub-attributes and URN paths in PATCH.",
        play: update,
    },
    Check {
        id: "entra-rename",
        provider: Provider::Entra,
        title: "Replace userName; the id stays, the old name is free",
        reference: "Entra ID: Update User; it keeps the id",
        severity: Severity::Breaks,
        breaks: "Whoever changes the name is lost to the provider, or gets a second account.",
        fix: "Let userName change by PATCH, and keep the id.",
        play: rename,
    },
    Check {
        id: "entra-absent-value",
        provider: Provider::Entra,
        title: "Add through a filter that selects nothing yet: emails, phoneNumbers, addresses",
        reference: "Entra ID: default mapping emails[type eq \"work\"].value; RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "The first phone number or address of a user fails with noTarget, and with it the whole update.",
        fix: "Where no value matches [type eq \"work\"], create one of that type.",
        play: absent_value,
    },
    Check {
        id: "entra-value-in-parts",
        provider: Provider::Entra,
        title: "One e-mail address in three operations: primary \"true\", type, value",
        reference: "Entra ID: emails[type eq \"work\"].primary and .type mapped",
        severity: Severity::Degrades,
        breaks: "Three half addresses instead of one, or an error.",
        fix: "Let each operation find the value that the one before has made.",
        play: value_in_parts,
    },
    Check {
        id: "entra-dotted-keys",
        provider: Provider::Entra,
        title: "Path-less replace with keys such as name.givenName and urn:…:User:department",
        reference: "Entra ID: feature flag aadOptscim062020",
        severity: Severity::Breaks,
        breaks: "Updates are acknowledged and dropped, or stored under a key that nobody reads.",
        fix: "Read keys with dots and URNs as attribute paths.",
        play: dotted_keys,
    },
    Check {
        id: "entra-manager",
        provider: Provider::Entra,
        title: "Manager: added as a string, replaced, and removed by \"\"",
        reference: "Entra ID: SCIM_Update_Manager_Test; RFC 7643 §4.3",
        severity: Severity::Degrades,
        breaks: "The job reports errors for everybody who has a manager; approvals go to the wrong person.",
        fix: "Accept the id as a string, answer with {\"value\": id}, and take \"\" and null for none.",
        play: manager,
    },
    Check {
        id: "entra-manager-on-create",
        provider: Provider::Entra,
        title: "Manager as a string in POST, and {\"Value\": …} in capitals",
        reference: "Entra ID: schema sample; SCIMReferenceCode",
        severity: Severity::Degrades,
        breaks: "Users who have a manager are not created.",
        fix: "Accept a string and an object with names in any case; answer with an object.",
        play: manager_on_create,
    },
    Check {
        id: "entra-empty-values",
        provider: Provider::Entra,
        title: "Empty strings and nulls unset attributes",
        reference: "Entra ID: SCIM_Null_Update_Test; RFC 7643 §2.5",
        severity: Severity::Degrades,
        breaks: "What was cleared in the directory stays, or the update fails.",
        fix: "Take \"\" and null for no value.",
        play: empty_values,
    },
    Check {
        id: "entra-operations-in-order",
        provider: Provider::Entra,
        title: "SCIM Validator: remove, add and replace of one attribute in one PATCH, in order",
        reference: "Entra SCIM Validator: PATCH with several operations; RFC 7644 §3.5.2",
        severity: Severity::Degrades,
        breaks: "The application does not pass the validator; values depend on chance.",
        fix: "Apply operations in the order of the array, each to the result of the one before.",
        play: in_order,
    },
    Check {
        id: "entra-roles",
        provider: Provider::Entra,
        title: "Roles: primary \"True\", then a role whose value is JSON in a string",
        reference: "Entra ID: SingleAppRoleAssignment, AppRoleAssignmentsComplex",
        severity: Severity::Degrades,
        breaks: "Users with application roles can't be created or updated.",
        fix: "Accept roles as a multi-valued attribute with value, display, type and primary; do not interpret the value.",
        play: roles,
    },
    Check {
        id: "entra-delete-twice",
        provider: Provider::Entra,
        title: "Hard delete after 30 days; the repeated DELETE is 404",
        reference: "Entra ID: Delete User; RFC 7644 §3.6",
        severity: Severity::Degrades,
        breaks: "A deletion that is repeated counts as a failure, and adds to the quarantine's 40 %.",
        fix: "Answer 204 to the first and 404 to the second.",
        play: delete_twice,
    },
    Check {
        id: "entra-paging",
        provider: Provider::Entra,
        title: "Two exact pages of five: startIndex is echoed, no user twice",
        reference: "Entra ID: SCIM_User_Pagination_Test; RFC 7644 §3.4.2.4",
        severity: Severity::Degrades,
        breaks: "The application does not pass the gallery's validation.",
        fix: "Echo startIndex, count what is on the page in itemsPerPage, keep the order.",
        play: paging,
    },
    Check {
        id: "entra-unquoted-filter",
        provider: Provider::Entra,
        title: "A filter without quotes finds the user, or is refused",
        reference: "Entra ID and authentik send userName eq name; RFC 7644 §3.4.2.2",
        severity: Severity::Degrades,
        breaks: "authentik takes the first user of the list that it gets, and overwrites a stranger's account.",
        fix: "Read a bare literal as a string, or answer 400 invalidFilter; never an unfiltered or empty list.",
        play: unquoted,
    },
    Check {
        id: "entra-feature-flag",
        provider: Provider::Entra,
        title: "The feature flag in the tenant URL arrives as a query parameter with each request",
        reference: "Entra ID: aadOptscim062020",
        severity: Severity::Breaks,
        breaks: "With the flag that Microsoft recommends, every request fails.",
        fix: "Ignore query parameters that are not known, with a value or without.",
        play: feature_flag,
    },
    Check {
        id: "entra-burst",
        provider: Provider::Entra,
        title: "25 requests at once are answered, or throttled properly",
        reference: "Entra ID: gallery requirement of 25 requests a second; RFC 6585 §4",
        severity: Severity::Degrades,
        breaks: "The first cycle fails under its own load, and the job is quarantined.",
        fix: "Answer them; or 429 with Retry-After and a SCIM Error.",
        play: burst,
    },
];

/// A user by Entra ID's default mapping.
fn entra_user(name: &str, external: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": external,
        "userName": name,
        "active": true,
        "displayName": "Ann Lee",
        "title": "Engineer",
        "emails": [{ "primary": true, "type": "work", "value": name }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Ann Lee", "familyName": "Lee", "givenName": "Ann" },
        "roles": [],
        ENTERPRISE: { "employeeNumber": "701984", "department": "Sales" },
    })
}

fn user(s: &mut Session, label: &str) -> Result<Made, Stop> {
    let body = entra_user(&s.mail(label), &s.name(label));
    s.given("/Users", &body)
}

fn test_connection(s: &mut Session) -> Played {
    let random = s.nobody("/Users")?.id;
    matched(s, "userName", &random, &[])
}

fn create(s: &mut Session) -> Played {
    let (name, external) = (s.mail("create"), s.name("create"));
    matched(s, "userName", &name, &[])?;
    let body = entra_user(&name, &external);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    let user = s.created(&answer)?;
    s.read(&user)?.resource()?.keeps(&body)?;
    matched(s, "userName", &name, &[&user])?;
    matched(s, "externalId", &external, &[&user])
}

fn create_duplicate(s: &mut Session) -> Played {
    let there = user(s, "there")?;
    s.create("/Users", &entra_user(&there.name, "another"))?.error_type(409, &["uniqueness"])?;
    Ok(())
}

fn deactivate(s: &mut Session) -> Played {
    let user = user(s, "leaves")?;
    for (text, active) in [("False", false), ("True", true)] {
        s.patch(&user, &json!([{ "op": "Replace", "path": "active", "value": text }]))?.patched()?;
        s.read(&user)?.resource()?.is("/active", active)?;
        matched(s, "userName", &user.name, &[&user])?;
    }
    Ok(())
}

fn operation_case(s: &mut Session) -> Played {
    let user = user(s, "capitals")?;
    let changed = s.patch(
        &user,
        &json!([
            { "op": "Add", "path": "nickName", "value": "Annie" },
            { "op": "Replace", "path": "displayName", "value": "Annie Lee" },
            { "op": "Remove", "path": "title" },
        ]),
    )?;
    changed.patched()?;
    s.read(&user)?.resource()?.is("/nickName", "Annie")?.is("/displayName", "Annie Lee")?.lacks("/title")?;
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let user = user(s, "update")?;
    let mail = format!("new.{}", user.name);
    let changed = s.patch(
        &user,
        &json!([
            { "op": "replace", "path": "emails[type eq \"work\"].value", "value": mail },
            { "op": "replace", "path": "name.familyName", "value": "Leigh" },
            { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Bakery" },
            { "op": "add", "path": "preferredLanguage", "value": "de-DE" },
        ]),
    )?;
    changed.patched()?;
    let read = s.read(&user)?;
    read.resource()?.values_are("/emails", &[&mail])?.is("/name/familyName", "Leigh")?.is("/name/givenName", "Ann")?;
    read.is(&format!("/{ENTERPRISE}/department"), "Bakery")?.is("/preferredLanguage", "de-DE")?;
    read.is(&format!("/{ENTERPRISE}/employeeNumber"), "701984")?;
    Ok(())
}

fn rename(s: &mut Session) -> Played {
    let user = user(s, "before")?;
    let renamed = s.mail("after");
    s.patch(&user, &json!([{ "op": "Replace", "path": "userName", "value": renamed }]))?.patched()?;
    s.read(&user)?.resource()?.is_name("/userName", &renamed)?.is("/id", user.id.as_str())?;
    matched(s, "userName", &user.name, &[])?;
    matched(s, "userName", &renamed, &[&user])
}

fn absent_value(s: &mut Session) -> Played {
    let user = user(s, "absent")?;
    let home = format!("home.{}", user.name);
    for (path, value, collection, expected) in [
        ("emails[type eq \"home\"].value", home.as_str(), "/emails", vec![user.name.as_str(), home.as_str()]),
        ("phoneNumbers[type eq \"mobile\"].value", "+1 555 0100", "/phoneNumbers", vec!["+1 555 0100"]),
    ] {
        s.patch(&user, &json!([{ "op": "Add", "path": path, "value": value }]))?.patched()?;
        s.read(&user)?.resource()?.values_are(collection, &expected)?;
    }
    let path = "addresses[type eq \"work\"].locality";
    s.patch(&user, &json!([{ "op": "Add", "path": path, "value": "Oslo" }]))?.patched()?;
    s.read(&user)?.resource()?.is("/addresses/0/locality", "Oslo")?.is("/addresses/0/type", "work")?;
    Ok(())
}

fn value_in_parts(s: &mut Session) -> Played {
    let mut body = entra_user(&s.mail("parts"), &s.name("parts"));
    if let Some(members) = body.as_object_mut() {
        members.remove("emails");
    }
    let user = s.given("/Users", &body)?;
    let changed = s.patch(
        &user,
        &json!([
            { "op": "Add", "path": "emails[type eq \"work\"].primary", "value": "true" },
            { "op": "Add", "path": "emails[type eq \"work\"].type", "value": "work" },
            { "op": "Add", "path": "emails[type eq \"work\"].value", "value": user.name },
        ]),
    )?;
    changed.patched()?;
    let read = s.read(&user)?;
    read.resource()?.values_are("/emails", &[&user.name])?;
    read.is("/emails/0/primary", true)?.is("/emails/0/type", "work")?;
    Ok(())
}

fn dotted_keys(s: &mut Session) -> Played {
    let user = user(s, "dotted")?;
    let department = format!("{ENTERPRISE}:department");
    let value = json!({ "name.givenName": "Anna", "name.familyName": "Leigh", "displayName": "Anna Leigh", department: "Bakery" });
    s.patch(&user, &json!([{ "op": "replace", "value": value }]))?.patched()?;
    let read = s.read(&user)?;
    read.resource()?
        .is("/name/givenName", "Anna")?
        .is("/name/familyName", "Leigh")?
        .is("/displayName", "Anna Leigh")?;
    read.is(&format!("/{ENTERPRISE}/department"), "Bakery")?;
    ensure(read.json.get("name.givenName").is_none(), &read, "expected no attribute called `name.givenName`")
}

fn manager(s: &mut Session) -> Played {
    let (one, two, user) = (user(s, "boss")?, user(s, "chief")?, user(s, "report")?);
    let path = format!("{ENTERPRISE}:manager");
    let value = format!("/{ENTERPRISE}/manager/value");
    s.patch(&user, &json!([{ "op": "Add", "path": path, "value": one.id }]))?.patched()?;
    s.read(&user)?.resource()?.is(&value, one.id)?;
    s.patch(&user, &json!([{ "op": "Replace", "path": path, "value": two.id }]))?.patched()?;
    s.read(&user)?.resource()?.is(&value, two.id)?;
    s.patch(&user, &json!([{ "op": "Replace", "path": path, "value": "" }]))?.patched()?;
    s.read(&user)?.resource()?.lacks(&value)?;
    Ok(())
}

fn manager_on_create(s: &mut Session) -> Played {
    let boss = user(s, "boss")?;
    for (label, manager) in [("string", json!(boss.id)), ("capitals", json!({ "Value": boss.id }))] {
        let mut body = entra_user(&s.mail(label), &s.name(label));
        body[ENTERPRISE] = json!({ "Department": "Sales", "manager": manager });
        let answer = s.create("/Users", &body)?;
        let user = s.created(&answer)?;
        let read = s.read(&user)?;
        read.resource()?.is(&format!("/{ENTERPRISE}/manager/value"), boss.id.as_str())?;
        read.is(&format!("/{ENTERPRISE}/department"), "Sales")?;
    }
    Ok(())
}

fn empty_values(s: &mut Session) -> Played {
    let department = format!("{ENTERPRISE}:department");
    for (label, nothing) in [("empty", json!("")), ("null", Value::Null)] {
        let user = user(s, label)?;
        let changed = s.patch(
            &user,
            &json!([
                { "op": "replace", "path": "title", "value": nothing },
                { "op": "replace", "path": "nickName", "value": nothing },
                { "op": "replace", "path": department, "value": nothing },
            ]),
        )?;
        changed.patched()?;
        let read = s.read(&user)?;
        read.resource()?.lacks("/title")?.lacks("/nickName")?.lacks(&format!("/{ENTERPRISE}/department"))?;
    }
    Ok(())
}

fn in_order(s: &mut Session) -> Played {
    let user = user(s, "order")?;
    let (one, two) = (s.name("one"), s.name("two"));
    let changed = s.patch(
        &user,
        &json!([
            { "op": "remove", "path": "externalId" },
            { "op": "add", "value": { "externalId": one } },
            { "op": "replace", "value": { "externalId": two } },
        ]),
    )?;
    changed.patched()?;
    s.read(&user)?.resource()?.is("/externalId", two)?;
    Ok(())
}

fn roles(s: &mut Session) -> Played {
    let mut body = entra_user(&s.mail("roles"), &s.name("roles"));
    body["roles"] = json!([{ "primary": "True", "type": "WindowsAzureActiveDirectoryRole", "value": "Admin" }]);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.is("/roles/0/value", "Admin")?.is("/roles/0/primary", true)?;
    let user = s.created(&answer)?;
    let packed = json!({ "id": "06b07648-ecfe-589f-9d2f-6325724a46ee", "value": "25", "displayName": "Role1234" });
    let value = json!([{ "value": packed.to_string() }]);
    s.patch(&user, &json!([{ "op": "Add", "path": "roles", "value": value }]))?.patched()?;
    let read = s.read(&user)?;
    let roles = read.resource()?.json["roles"].as_array().map_or(0, Vec::len);
    ensure(roles == 2, &read, "expected two roles")
}

fn delete_twice(s: &mut Session) -> Played {
    let user = user(s, "delete")?;
    s.delete(&user)?.status(&[204])?;
    s.delete(&user)?.error(&[404])?;
    Ok(())
}

fn paging(s: &mut Session) -> Played {
    s.users("page", 10)?;
    let one = s.get("/Users?startIndex=1&count=5")?;
    let first: Vec<String> = one.list()?.shows(5)?.ids().map(str::to_owned).collect();
    one.is("/startIndex", 1)?.is("/itemsPerPage", 5)?;
    let two = s.get("/Users?startIndex=6&count=5")?;
    let second = two.list()?.shows(5)?;
    two.is("/startIndex", 6)?.is("/itemsPerPage", 5)?;
    let again = second.ids().any(|id| first.iter().any(|seen| seen == id));
    ensure(!again, &two, "expected no user of the first page on the second")
}

fn unquoted(s: &mut Session) -> Played {
    // The other is somebody whom an ignored filter would show too.
    let (user, _other) = (user(s, "bare")?, user(s, "other")?);
    let answer = look_up(s, "/Users", &format!("userName eq {}", user.name), "")?;
    if answer.code() == 400 {
        answer.error_type(400, &["invalidFilter"])?;
        return Ok(());
    }
    answer.found(&[&user])?;
    Ok(())
}

fn feature_flag(s: &mut Session) -> Played {
    let body = entra_user(&s.mail("flag"), &s.name("flag"));
    let answer = s.send(&Request::create("/Users", &body).suffix("?aadOptscim062020"))?;
    let user = s.created(&answer)?;
    let filter = crate::command::encoded(&format!("userName eq \"{}\"", user.name));
    s.get(&format!("/Users?aadOptscim062020&filter={filter}"))?.found(&[&user])?;
    let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
    s.send(&Request::patch(&user, &operations).suffix("?aadOptscim062020"))?.patched()?;
    s.read(&user)?.resource()?.is("/active", false)?;
    Ok(())
}

fn burst(s: &mut Session) -> Played {
    let user = user(s, "burst")?;
    let answers = s.at_once(&vec![Request::get(user.path()); 25])?;
    for answer in answers {
        let answer = answer?;
        if answer.code() == 429 {
            answer.error(&[429])?;
            ensure(answer.header("retry-after").is_some(), &answer, "expected Retry-After with 429")?;
            continue;
        }
        answer.resource()?.is("/id", user.id.as_str())?;
    }
    Ok(())
}
