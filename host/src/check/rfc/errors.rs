//! Errors, media types and URLs (RFC 7644 §3.1, §3.8, §3.12).

use serde_json::{Value, json};

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Played, Request};
use super::super::expect::ensure;
use super::super::session::{Session, plain_user};

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-error-body",
        provider: Provider::Rfc,
        title: "Errors are SCIM Errors whose status is a string",
        reference: "RFC 7644 §3.12",
        severity: Severity::Degrades,
        breaks: "The administrator reads `unknown error`; clients that parse strictly fail on the error itself.",
        fix: "Answer every error as JSON with schemas, status (a string) and a detail that tells what to do.",
        play: error_body,
    },
    Check {
        id: "rfc-error-unknown-path",
        provider: Provider::Rfc,
        title: "A path that is none, and a method that is none, are SCIM Errors too",
        reference: "RFC 7644 §3.12",
        severity: Severity::Cosmetic,
        breaks: "The web framework's HTML page ends in the provider's log instead of a reason.",
        fix: "Replace the framework's own 404 and 405 pages below the SCIM base by SCIM Errors.",
        play: unknown_path,
    },
    Check {
        id: "rfc-error-malformed",
        provider: Provider::Rfc,
        title: "A body that is no JSON is 400",
        reference: "RFC 7644 §3.12 (invalidSyntax)",
        severity: Severity::Degrades,
        breaks: "A 500 makes providers repeat a request that can never succeed.",
        fix: "Answer 400 with scimType invalidSyntax.",
        play: malformed,
    },
    Check {
        id: "rfc-error-required",
        provider: Provider::Rfc,
        title: "A user without userName is 400",
        reference: "RFC 7643 §4.1.1; RFC 7644 §3.12 (invalidValue)",
        severity: Severity::Degrades,
        breaks: "Accounts without a name, which nobody can match; or a 500 that is repeated for ever.",
        fix: "Answer 400 with scimType invalidValue, and name the attribute.",
        play: required,
    },
    Check {
        id: "rfc-media-types",
        provider: Provider::Rfc,
        title: "application/scim+json and application/json are accepted, with a charset and without",
        reference: "RFC 7644 §3.1, §8.1",
        severity: Severity::Breaks,
        breaks: "Providers that send application/json, or a charset as Okta and Entra ID do, get 415 for every change.",
        fix: "Accept both media types with any parameters, and answer application/scim+json.",
        play: media_types,
    },
    Check {
        id: "rfc-answer-media-type",
        provider: Provider::Rfc,
        title: "Answers are application/scim+json",
        reference: "RFC 7644 §3.1, §8.1",
        severity: Severity::Cosmetic,
        breaks: "Strict clients refuse to read the answer.",
        fix: "Set Content-Type: application/scim+json on every answer with a body.",
        play: answer_media_type,
    },
    Check {
        id: "rfc-error-media-type",
        provider: Provider::Rfc,
        title: "A body of another media type is no 500",
        reference: "RFC 7644 §3.12; RFC 7231 §6.5.13",
        severity: Severity::Cosmetic,
        breaks: "A proxy's mistake looks like a failure of the server.",
        fix: "Answer 415 or 400 with a SCIM Error, or read the body as JSON.",
        play: error_media_type,
    },
    Check {
        id: "rfc-url-forms",
        provider: Provider::Rfc,
        title: "A trailing slash, a double slash and an empty query lead to the same place, without a redirect",
        reference: "RFC 7644 §3.13; RFC 3986 §6.2",
        severity: Severity::Degrades,
        breaks: "A base URL that was pasted with a slash at its end makes every request fail; a redirected POST arrives as GET.",
        fix: "Ignore empty path segments and empty queries; never redirect a write.",
        play: url_forms,
    },
];

fn error_body(s: &mut Session) -> Played {
    let nobody = s.nobody("/Users")?;
    s.read(&nobody)?.error(&[404])?.has("/detail")?;
    s.delete(&nobody)?.error(&[404])?;
    s.patch(&nobody, &json!([{ "op": "replace", "path": "active", "value": false }]))?.error(&[404])?;
    Ok(())
}

fn unknown_path(s: &mut Session) -> Played {
    s.get("/NoSuchResources")?.error(&[404])?;
    let user = s.user("method")?;
    s.send(&Request::post_to(&user, &json!({})))?.error(&[404, 405, 501])?;
    Ok(())
}

fn malformed(s: &mut Session) -> Played {
    let name = s.mail("malformed");
    s.send(&Request::create("/Users", &plain_user(&name)).text(&format!("{{ \"userName\": \"{name}\", ")))?
        .error(&[400])?;
    s.send(&Request::create("/Users", &plain_user(&name)).text("[]"))?.error(&[400])?;
    Ok(())
}

fn required(s: &mut Session) -> Played {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "displayName": s.name("nameless"),
    });
    // Should it be made after all, its displayName is what tells it from others.
    let answer = s.create("/Users", &body)?;
    let made = answer.json["id"].as_str().map(str::to_owned);
    if answer.code() == 201 && answer.json["displayName"] == body["displayName"] {
        s.adopt("/Users", made, &s.name("nameless"));
    }
    answer.error(&[400])?;
    Ok(())
}

fn media_types(s: &mut Session) -> Played {
    for (label, media_type) in [
        ("scim", "application/scim+json"),
        ("json", "application/json"),
        ("charset", "application/scim+json; charset=utf-8"),
        ("jsoncharset", "application/json;charset=UTF-8"),
    ] {
        let body = plain_user(&s.mail(label));
        s.send(&Request::create("/Users", &body).header("content-type", media_type))?.status(&[201])?;
    }
    s.send(&Request::get("/Users?count=1").header("accept", "*/*"))?.list()?;
    s.send(&Request::get("/Users?count=1").header("accept", "application/json"))?.list()?;
    Ok(())
}

fn answer_media_type(s: &mut Session) -> Played {
    let (user, nobody) = (s.user("mediatype")?, s.nobody("/Users")?);
    for answer in [s.get("/Users?count=1")?, s.read(&user)?, s.read(&nobody)?] {
        let media_type = answer.header("content-type").unwrap_or_default();
        let right = media_type.to_ascii_lowercase().starts_with("application/scim+json");
        ensure(right, &answer, "expected Content-Type application/scim+json")?;
    }
    Ok(())
}

fn error_media_type(s: &mut Session) -> Played {
    let request = Request::create("/Users", &plain_user(&s.mail("text"))).header("content-type", "text/plain");
    let answer = s.send(&request)?;
    if answer.code() != 201 {
        answer.error(&[400, 406, 415])?;
    }
    Ok(())
}

fn url_forms(s: &mut Session) -> Played {
    let user = s.user("urls")?;
    let filter = format!("filter={}", crate::command::encoded(&format!("userName eq \"{}\"", user.name)));
    for path in [format!("/Users/?{filter}"), format!("//Users?{filter}"), format!("/Users?{filter}&unknown=1")] {
        s.get(&path)?.found(&[&user])?;
    }
    let read = s.send(&Request::get(user.path()).suffix("/"))?;
    read.resource()?.is("/id", Value::from(user.id))?;
    let body = plain_user(&s.mail("slash"));
    s.send(&Request::create("/Users", &body).prefix("/").suffix("?"))?.status(&[201])?;
    Ok(())
}
