//! OneLogin: URLs that end in `?` or `&`, an empty User-Agent, and bodies from a template that an administrator edits.

use serde_json::json;

use super::catalogue::{Check, Provider, Severity};
use super::exchange::{Played, Request};
use super::session::{Session, plain_user};
use crate::command::encoded;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "onelogin-match",
        provider: Provider::OneLogin,
        title: "Look for a user with a trailing & and an empty User-Agent",
        reference: "OneLogin: recorded requests",
        severity: Severity::Breaks,
        breaks: "The connection can't be enabled; a firewall in front often refuses the empty User-Agent.",
        fix: "Ignore empty query parameters, and let requests without a User-Agent in.",
        play: match_user,
    },
    Check {
        id: "onelogin-create-template",
        provider: Provider::OneLogin,
        title: "Create a user with the template's schemas urn:scim:schemas:core:1.0",
        reference: "OneLogin: SCIM JSON template",
        severity: Severity::Breaks,
        breaks: "No user is created as long as the administrator keeps the default template.",
        fix: "Do not refuse schema URNs that are not known; decide the type by the endpoint.",
        play: create_template,
    },
    Check {
        id: "onelogin-emails-object",
        provider: Provider::OneLogin,
        title: "emails as one object instead of an array",
        reference: "OneLogin: SCIM JSON template; departs from RFC 7643 §2.4",
        severity: Severity::Degrades,
        breaks: "Users fail, or have no e-mail address.",
        fix: "Take one object for an array of one.",
        play: emails_object,
    },
    Check {
        id: "onelogin-empty-strings",
        provider: Provider::OneLogin,
        title: "Macros without a value: empty strings in the body",
        reference: "OneLogin: SCIM JSON template; RFC 7643 §2.5",
        severity: Severity::Degrades,
        breaks: "Everybody without a phone number or a department fails.",
        fix: "Take an empty string for no value.",
        play: empty_strings,
    },
    Check {
        id: "onelogin-update",
        provider: Provider::OneLogin,
        title: "Update and suspend a user by PUT with a trailing ?",
        reference: "OneLogin: Update user",
        severity: Severity::Breaks,
        breaks: "Changes and suspensions do not arrive.",
        fix: "Support PUT, and ignore an empty query.",
        play: update,
    },
    Check {
        id: "onelogin-groups",
        provider: Provider::OneLogin,
        title: "Refresh Entitlements: GET /Groups?",
        reference: "OneLogin: Refresh Entitlements",
        severity: Severity::Degrades,
        breaks: "Groups can't be chosen in rules.",
        fix: "Answer with a ListResponse in which each group has id and displayName.",
        play: groups,
    },
];

fn match_user(s: &mut Session) -> Played {
    let user = s.user("match")?;
    let filter = encoded(&format!("userName eq \"{}\"", user.name)).replace("%20", "+");
    s.get(&format!("/Users?filter={filter}&"))?.found(&[&user])?;
    Ok(())
}

fn create_template(s: &mut Session) -> Played {
    let name = s.mail("template");
    let body = json!({
        "schemas": ["urn:scim:schemas:core:1.0"],
        "userName": name,
        "name": { "givenName": "One", "familyName": "Login", "formatted": "One Login" },
    });
    let answer = s.send(&Request::create("/Users", &body).suffix("?"))?;
    answer.status(&[201])?.keeps(&body)?;
    Ok(())
}

fn emails_object(s: &mut Session) -> Played {
    let name = s.mail("emails");
    let mut body = plain_user(&name);
    body["emails"] = json!({ "value": name });
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.values_are("/emails", &[&name])?;
    Ok(())
}

fn empty_strings(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("empty"));
    body["title"] = json!("");
    body["phoneNumbers"] = json!([{ "value": "" }]);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.lacks("/title")?.is("/name/givenName", "Ann")?;
    Ok(())
}

fn update(s: &mut Session) -> Played {
    let user = s.user("update")?;
    let mut body = plain_user(&user.name);
    body["name"]["familyName"] = json!("Leigh");
    body["active"] = json!(false);
    s.send(&Request::put(&user, &body).suffix("?"))?.status(&[200])?;
    s.read(&user)?.resource()?.is("/name/familyName", "Leigh")?.is("/active", false)?;
    Ok(())
}

fn groups(s: &mut Session) -> Played {
    s.group("entitlement", &[])?;
    let answer = s.get("/Groups?")?;
    answer.list()?;
    answer.has("/Resources/0/id")?.has("/Resources/0/displayName")?;
    Ok(())
}
