//! PATCH of a user (RFC 7644 §3.5.2).

use serde_json::json;

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::Played;
use super::super::expect::{ENTERPRISE, ensure};
use super::super::session::{Session, plain_user};

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-patch-replace",
        provider: Provider::Rfc,
        title: "replace by path changes that attribute and no other",
        reference: "RFC 7644 §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "Updates from Entra ID and JumpCloud, deactivation first of all, do not arrive.",
        fix: "Support PATCH on /Users/{id} with attribute paths, sub-attributes and extension URNs among them.",
        play: replace,
    },
    Check {
        id: "rfc-patch-pathless",
        provider: Provider::Rfc,
        title: "add and replace without a path set the attributes of the value, and leave the others",
        reference: "RFC 7644 §3.5.2.1, §3.5.2.3",
        severity: Severity::Breaks,
        breaks: "Okta deactivates that way: users stay active, or lose what was not named.",
        fix: "Without `path`, apply each attribute of the `value` object to the resource.",
        play: pathless,
    },
    Check {
        id: "rfc-patch-add",
        provider: Provider::Rfc,
        title: "add appends to a multi-valued attribute, each value once",
        reference: "RFC 7644 §3.5.2.1",
        severity: Severity::Degrades,
        breaks: "A second e-mail address replaces the first, or addresses pile up with each cycle.",
        fix: "Append what `add` brings to the values that are there, unless an equal one is.",
        play: add,
    },
    Check {
        id: "rfc-patch-remove",
        provider: Provider::Rfc,
        title: "remove unsets an attribute, or the values that a filter selects",
        reference: "RFC 7644 §3.5.2.2",
        severity: Severity::Degrades,
        breaks: "What was cleared in the directory stays in the application.",
        fix: "Support remove by attribute path and by value filter: phoneNumbers[type eq \"work\"].",
        play: remove,
    },
    Check {
        id: "rfc-patch-value-path",
        provider: Provider::Rfc,
        title: "replace through a value filter changes the selected value alone",
        reference: "RFC 7644 §3.5.2.3, §3.10",
        severity: Severity::Breaks,
        breaks: "Entra ID addresses e-mails and phone numbers that way: the wrong one changes, or none.",
        fix: "Evaluate the filter in paths such as emails[type eq \"work\"].value against each value.",
        play: value_path,
    },
    Check {
        id: "rfc-patch-complex",
        provider: Provider::Rfc,
        title: "replace of a complex attribute keeps the sub-attributes that it does not name",
        reference: "RFC 7644 §3.5.2.3",
        severity: Severity::Degrades,
        breaks: "A new family name deletes the given name.",
        fix: "Where the path is a complex attribute, set the given sub-attributes and keep the others.",
        play: complex,
    },
    Check {
        id: "rfc-patch-primary",
        provider: Provider::Rfc,
        title: "A new primary value makes the previous one no longer primary",
        reference: "RFC 7644 §3.5.2; RFC 7643 §2.4",
        severity: Severity::Cosmetic,
        breaks: "Two primary addresses: mail goes to whichever the application happens to read first.",
        fix: "When a value with primary true is set, set primary of the others to false.",
        play: primary,
    },
    Check {
        id: "rfc-patch-atomic",
        provider: Provider::Rfc,
        title: "If one operation fails, none is applied",
        reference: "RFC 7644 §3.5.2",
        severity: Severity::Breaks,
        breaks: "The provider sees an error and repeats, while half of its change is there: states that nobody asked for.",
        fix: "Apply the operations to a copy, and store that only when all have succeeded.",
        play: atomic,
    },
    Check {
        id: "rfc-patch-refused",
        provider: Provider::Rfc,
        title: "An unknown op, or a path that is none, is 400 and not a silent success",
        reference: "RFC 7644 §3.5.2, §3.12",
        severity: Severity::Degrades,
        breaks: "The provider believes that a change was made, and never sends it again.",
        fix: "Answer 400 with scimType invalidSyntax, invalidPath or invalidFilter, and name the operation.",
        play: refused,
    },
    Check {
        id: "rfc-patch-no-target",
        provider: Provider::Rfc,
        title: "remove without a path is 400 noTarget",
        reference: "RFC 7644 §3.5.2.2",
        severity: Severity::Cosmetic,
        breaks: "A client's mistake clears a resource, or passes for a success.",
        fix: "Answer 400 with scimType noTarget.",
        play: no_target,
    },
    Check {
        id: "rfc-patch-read-only",
        provider: Provider::Rfc,
        title: "id can't be changed by PATCH",
        reference: "RFC 7644 §3.5.2 (mutability)",
        severity: Severity::Degrades,
        breaks: "The provider loses the account that it knows by this id.",
        fix: "Answer 400 with scimType mutability, or ignore the operation; never store it.",
        play: read_only,
    },
    Check {
        id: "rfc-patch-unchanged",
        provider: Provider::Rfc,
        title: "PATCH that changes nothing succeeds",
        reference: "RFC 7644 §3.5.2.1",
        severity: Severity::Degrades,
        breaks: "Retries of a provider end as errors.",
        fix: "Answer 200 or 204 where the value is there already; do not touch lastModified.",
        play: unchanged,
    },
];

fn replace(s: &mut Session) -> Played {
    let user = s.user("replace")?;
    let changed = s.patch(
        &user,
        &json!([
            { "op": "replace", "path": "active", "value": false },
            { "op": "replace", "path": "name.givenName", "value": "Anna" },
            { "op": "replace", "path": "displayName", "value": "Anna Lee" },
            { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Sales" },
        ]),
    )?;
    changed.patched()?;
    let read = s.read(&user)?;
    read.resource()?.is("/active", false)?.is("/name/givenName", "Anna")?.is("/displayName", "Anna Lee")?;
    read.is(&format!("/{ENTERPRISE}/department"), "Sales")?;
    read.is("/name/familyName", "Lee")?.values_are("/emails", &[&user.name])?;
    Ok(())
}

fn pathless(s: &mut Session) -> Played {
    let user = s.user("pathless")?;
    s.patch(&user, &json!([{ "op": "replace", "value": { "active": false, "title": "Engineer" } }]))?.patched()?;
    s.patch(&user, &json!([{ "op": "add", "value": { "nickName": "Annie" } }]))?.patched()?;
    let read = s.read(&user)?;
    read.resource()?.is("/active", false)?.is("/title", "Engineer")?.is("/nickName", "Annie")?;
    read.is("/name/givenName", "Ann")?.values_are("/emails", &[&user.name])?;
    Ok(())
}

fn add(s: &mut Session) -> Played {
    let user = s.user("add")?;
    let home = format!("home.{}", user.name);
    let operations = json!([{ "op": "add", "path": "emails", "value": [{ "value": home, "type": "home" }] }]);
    s.patch(&user, &operations)?.patched()?;
    s.read(&user)?.resource()?.values_are("/emails", &[&user.name, &home])?;
    s.patch(&user, &operations)?.patched()?;
    s.read(&user)?.resource()?.values_are("/emails", &[&user.name, &home])?;
    Ok(())
}

fn remove(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("remove"));
    body["title"] = json!("Engineer");
    body["phoneNumbers"] = json!([{ "value": "1", "type": "work" }, { "value": "2", "type": "home" }]);
    let user = s.given("/Users", &body)?;
    let changed = s.patch(
        &user,
        &json!([
            { "op": "remove", "path": "title" },
            { "op": "remove", "path": "phoneNumbers[type eq \"work\"]" },
        ]),
    )?;
    changed.patched()?;
    s.read(&user)?.resource()?.lacks("/title")?.values_are("/phoneNumbers", &["2"])?;
    Ok(())
}

fn value_path(s: &mut Session) -> Played {
    let name = s.mail("valuepath");
    let (home, new) = (format!("home.{name}"), format!("new.{name}"));
    let mut body = plain_user(&name);
    body["emails"] = json!([{ "value": home, "type": "home" }, { "value": name, "type": "work" }]);
    let user = s.given("/Users", &body)?;
    let changed =
        s.patch(&user, &json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": new }]))?;
    changed.patched()?;
    let read = s.read(&user)?;
    body["emails"] = json!([{ "value": home, "type": "home" }, { "value": new, "type": "work" }]);
    read.resource()?.keeps(&body)?;
    Ok(())
}

fn complex(s: &mut Session) -> Played {
    let user = s.user("complex")?;
    s.patch(&user, &json!([{ "op": "replace", "path": "name", "value": { "familyName": "Leigh" } }]))?.patched()?;
    s.read(&user)?.resource()?.is("/name/familyName", "Leigh")?.is("/name/givenName", "Ann")?;
    Ok(())
}

fn primary(s: &mut Session) -> Played {
    let user = s.user("primary")?;
    let new = format!("new.{}", user.name);
    let value = json!([{ "value": new, "type": "home", "primary": true }]);
    s.patch(&user, &json!([{ "op": "add", "path": "emails", "value": value }]))?.patched()?;
    let read = s.read(&user)?;
    let emails = read.resource()?.json["emails"].as_array().into_iter().flatten();
    let primary: Vec<_> = emails.filter(|email| email["primary"] == true).map(|email| &email["value"]).collect();
    ensure(primary == [new.as_str()], &read, "expected the new address alone to be primary")
}

fn atomic(s: &mut Session) -> Played {
    let user = s.user("atomic")?;
    let refused = s.patch(
        &user,
        &json!([
            { "op": "replace", "path": "displayName", "value": "After" },
            { "op": "replace", "path": "emails[broken!!!filter", "value": "x" },
        ]),
    )?;
    refused.status(&[400])?;
    s.read(&user)?.resource()?.is("/displayName", "Ann Lee")?;
    Ok(())
}

fn refused(s: &mut Session) -> Played {
    let user = s.user("refused")?;
    let unknown = s.patch(&user, &json!([{ "op": "frobnicate", "path": "nickName", "value": "x" }]))?;
    unknown.error(&[400])?;
    let broken = s.patch(&user, &json!([{ "op": "replace", "path": "emails[type eq", "value": "x" }]))?;
    broken.error(&[400])?;
    Ok(())
}

fn no_target(s: &mut Session) -> Played {
    let user = s.user("notarget")?;
    s.patch(&user, &json!([{ "op": "remove" }]))?.error_type(400, &["noTarget"])?;
    s.read(&user)?.resource()?.is("/displayName", "Ann Lee")?;
    Ok(())
}

fn read_only(s: &mut Session) -> Played {
    let user = s.user("readonly")?;
    let changed = s.patch(&user, &json!([{ "op": "replace", "path": "id", "value": "another" }]))?;
    if changed.code() >= 400 {
        changed.error(&[400])?;
    }
    s.read(&user)?.resource()?.is("/id", user.id.as_str())?;
    Ok(())
}

fn unchanged(s: &mut Session) -> Played {
    let user = s.user("unchanged")?;
    for _ in 0..2 {
        s.patch(&user, &json!([{ "op": "replace", "path": "displayName", "value": "Ann Lee" }]))?.patched()?;
        s.patch(&user, &json!([{ "op": "remove", "path": "nickName" }]))?.patched()?;
    }
    Ok(())
}
