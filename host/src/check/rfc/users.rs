//! Creating, reading, replacing and deleting a user (RFC 7644 §3.3 to §3.6).

use serde_json::{Value, json};

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Played, Request, Stop};
use super::super::expect::{ENTERPRISE, ensure};
use super::super::session::{Session, plain_user};

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-create",
        provider: Provider::Rfc,
        title: "POST answers 201 with the whole resource",
        reference: "RFC 7644 §3.3; RFC 7643 §3.1",
        severity: Severity::Breaks,
        breaks: "The provider takes the id and the state from this answer; without them the user is created again, or never updated.",
        fix: "Answer 201 with the complete resource: schemas, id, meta with resourceType, created, lastModified, and all that was sent.",
        play: create,
    },
    Check {
        id: "rfc-id-string",
        provider: Provider::Rfc,
        title: "id is a string that the server gives out",
        reference: "RFC 7643 §3.1",
        severity: Severity::Breaks,
        breaks: "JumpCloud and other typed clients fail to read the answer; a client's own id could take over another account.",
        fix: "Give out ids as JSON strings, even where they are numbers inside, and ignore an id that a client sends.",
        play: id_is_a_string,
    },
    Check {
        id: "rfc-location",
        provider: Provider::Rfc,
        title: "Location and meta.location are the same absolute URL, which leads to the resource",
        reference: "RFC 7644 §3.3; RFC 7643 §3.1",
        severity: Severity::Degrades,
        breaks: "Clients that follow the location reach an internal host, or nothing.",
        fix: "Build locations from the public base URL (X-Forwarded-Proto and -Host behind a proxy), not from the internal one.",
        play: location,
    },
    Check {
        id: "rfc-read",
        provider: Provider::Rfc,
        title: "GET by id gives what POST gave; an unknown id is 404",
        reference: "RFC 7644 §3.4.1",
        severity: Severity::Breaks,
        breaks: "The provider believes that its change was lost and repeats it for ever, or that a deleted user lives on.",
        fix: "Answer GET with the stored resource, and 404 with a SCIM Error where there is none.",
        play: read,
    },
    Check {
        id: "rfc-values-kept",
        provider: Provider::Rfc,
        title: "Values come back as they were sent: non-ASCII names, phone numbers, several of a kind",
        reference: "RFC 7644 §3.3; RFC 7643 §2.4",
        severity: Severity::Degrades,
        breaks: "A provider that finds a normalised phone number or a mangled name updates the user in every cycle.",
        fix: "Store values as sent; normalise for comparison only, and keep every element of a multi-valued attribute.",
        play: values_kept,
    },
    Check {
        id: "rfc-enterprise",
        provider: Provider::Rfc,
        title: "The enterprise extension is stored and returned under its URN",
        reference: "RFC 7643 §4.3, §3.3",
        severity: Severity::Degrades,
        breaks: "Department, cost centre, employee number and manager never arrive, and rules built on them don't fire.",
        fix: "Support urn:ietf:params:scim:schemas:extension:enterprise:2.0:User, and list it in `schemas` where it is used.",
        play: enterprise,
    },
    Check {
        id: "rfc-read-only-ignored",
        provider: Provider::Rfc,
        title: "id, meta and groups in a POST or PUT are ignored, not refused and not stored",
        reference: "RFC 7644 §3.3, §3.5.1; RFC 7643 §2.2",
        severity: Severity::Breaks,
        breaks: "Providers echo what they read; a server that refuses that can't be updated, one that stores it corrupts ids.",
        fix: "Drop readOnly attributes from request bodies before anything is checked.",
        play: read_only_ignored,
    },
    Check {
        id: "rfc-duplicate",
        provider: Provider::Rfc,
        title: "A second POST of the same userName is 409",
        reference: "RFC 7644 §3.3; RFC 7643 §4.1.1",
        severity: Severity::Breaks,
        breaks: "People get two accounts, or another's account is overwritten; the provider can't match users any more.",
        fix: "Make userName unique in the database, and answer 409 where it is taken.",
        play: duplicate,
    },
    Check {
        id: "rfc-duplicate-type",
        provider: Provider::Rfc,
        title: "The conflict is a SCIM Error of the type uniqueness",
        reference: "RFC 7644 §3.3, §3.12",
        severity: Severity::Degrades,
        breaks: "The provider shows an unknown error instead of linking the account that is there.",
        fix: "Answer 409 with scimType `uniqueness`.",
        play: duplicate_type,
    },
    Check {
        id: "rfc-username-case",
        provider: Provider::Rfc,
        title: "userName is unique in any case",
        reference: "RFC 7643 §4.1.1, §8.7.1",
        severity: Severity::Breaks,
        breaks: "Ann@example.com and ann@example.com become two accounts of one person.",
        fix: "Compare userName without case where it must be unique (caseExact is false).",
        play: username_case,
    },
    Check {
        id: "rfc-put",
        provider: Provider::Rfc,
        title: "PUT replaces the resource and answers with it",
        reference: "RFC 7644 §3.5.1",
        severity: Severity::Breaks,
        breaks: "Okta's wizard applications, Ping and authentik update users by PUT alone: nothing would ever change.",
        fix: "Support PUT on /Users/{id}: take the new values, answer 200 with the whole resource.",
        play: put,
    },
    Check {
        id: "rfc-put-self",
        provider: Provider::Rfc,
        title: "PUT with the resource's own userName is no conflict",
        reference: "RFC 7644 §3.5.1",
        severity: Severity::Breaks,
        breaks: "Every update by PUT fails with 409: the user conflicts with itself.",
        fix: "Leave the resource itself out when checking uniqueness.",
        play: put_self,
    },
    Check {
        id: "rfc-put-without-active",
        provider: Provider::Rfc,
        title: "PUT that leaves active out does not suspend the user",
        reference: "RFC 7644 §3.5.1; RFC 7643 §4.1.1",
        severity: Severity::Breaks,
        breaks: "A profile update locks people out.",
        fix: "Treat an `active` that is left out as unset or true, never as false.",
        play: put_without_active,
    },
    Check {
        id: "rfc-delete",
        provider: Provider::Rfc,
        title: "DELETE answers 204; then the user is found nowhere, and a second DELETE is 404",
        reference: "RFC 7644 §3.6",
        severity: Severity::Breaks,
        breaks: "Deleted people keep their access, or the provider reports errors for users that are gone.",
        fix: "Answer 204 without a body, hide the resource from GET and lists, and answer 404 from then on.",
        play: delete,
    },
    Check {
        id: "rfc-create-after-delete",
        provider: Provider::Rfc,
        title: "A userName can be used again after its user was deleted",
        reference: "RFC 7644 §3.6",
        severity: Severity::Degrades,
        breaks: "Somebody who comes back can't be provisioned: 409 for a user whom nobody sees.",
        fix: "Deleted resources must not be considered in conflict calculation.",
        play: create_after_delete,
    },
    Check {
        id: "rfc-password-hidden",
        provider: Provider::Rfc,
        title: "A password is accepted and never returned",
        reference: "RFC 7643 §4.1.1, §7 (returned: never)",
        severity: Severity::Breaks,
        breaks: "Okta sends a password with every user: refused, no user is created; returned, it stands in logs everywhere.",
        fix: "Accept `password`, use it or drop it, and never put it into an answer.",
        play: password_hidden,
    },
    Check {
        id: "rfc-unknown-attributes",
        provider: Provider::Rfc,
        title: "Attributes and extensions that the server does not know are ignored",
        reference: "RFC 7643 §3; RFC 7644 §3.3",
        severity: Severity::Degrades,
        breaks: "One custom attribute in the provider's mapping makes every user fail.",
        fix: "Ignore attributes and schema URNs that are not known; do not answer 400.",
        play: unknown_attributes,
    },
    Check {
        id: "rfc-attribute-case",
        provider: Provider::Rfc,
        title: "Attribute names have no case",
        reference: "RFC 7643 §2.1",
        severity: Severity::Degrades,
        breaks: "Entra ID's tests and .NET clients send `Department` and `Primary`; the values get lost.",
        fix: "Compare attribute names without case, and return them as the schema writes them.",
        play: attribute_case,
    },
];

fn create(s: &mut Session) -> Played {
    let body = plain_user(&s.mail("create"));
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?.keeps(&body)?;
    for required in ["/id", "/schemas", "/meta/created", "/meta/lastModified"] {
        answer.has(required)?;
    }
    answer.is("/meta/resourceType", "User")?;
    Ok(())
}

fn id_is_a_string(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("id"));
    // Random: should the server use it, it is nobody else's.
    let chosen = s.nobody("/Users")?.id;
    body["id"] = json!(chosen);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?;
    ensure(answer.json["id"].is_string(), &answer, "expected id to be a JSON string")?;
    ensure(answer.json["id"] != chosen.as_str(), &answer, "expected the server's own id, found the client's")
}

fn location(s: &mut Session) -> Played {
    let body = plain_user(&s.mail("location"));
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?;
    let Some(header) = answer.header("location") else {
        return Err(answer.fail("expected a Location header with 201"));
    };
    ensure(header.contains("://"), &answer, "expected Location to be an absolute URL")?;
    answer.is("/meta/location", header)?;
    let user = s.created(&answer)?;
    // Followed only where it leads back to the server that was named: credentials go nowhere else.
    let Some(path) = s.below(header) else {
        return Err(answer.fail(format!("expected Location to be below the base URL, found {header}")));
    };
    s.get(&path)?.resource()?.is("/id", user.id)?;
    Ok(())
}

fn read(s: &mut Session) -> Played {
    let body = plain_user(&s.mail("read"));
    let answer = s.create("/Users", &body)?;
    let user = s.created(&answer)?;
    let read = s.read(&user)?;
    read.resource()?.keeps(&body)?;
    ensure(read.json["id"] == answer.json["id"], &read, "expected the id that POST gave")?;
    let nobody = s.nobody("/Users")?;
    s.read(&nobody)?.error(&[404])?;
    Ok(())
}

fn values_kept(s: &mut Session) -> Played {
    let name = s.mail("values");
    let mut body = plain_user(&name);
    body["name"] = json!({ "givenName": "Zoë", "familyName": "Łukasiewicz-李", "formatted": "Zoë  Łukasiewicz-李" });
    body["title"] = json!("R&D <lead> \"quoted\" \\ done");
    body["phoneNumbers"] = json!([
        { "value": "555-555-5555", "type": "work" },
        { "value": "555-555-5555", "type": "mobile" },
        { "value": "+1 (555) 0100", "type": "fax" },
    ]);
    body["emails"] = json!([
        { "value": name, "type": "work", "primary": true },
        { "value": format!("home.{name}"), "type": "home" },
    ]);
    let user = s.given("/Users", &body)?;
    s.read(&user)?.resource()?.keeps(&body)?;
    Ok(())
}

fn enterprise(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("enterprise"));
    body["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]);
    body[ENTERPRISE] = json!({ "employeeNumber": "701984", "department": "Tour Operations", "costCenter": "4130" });
    let answer = s.create("/Users", &body)?;
    let user = s.created(&answer)?;
    let read = s.read(&user)?;
    read.resource()?.keeps(&body)?;
    let mut listed = read.json["schemas"].as_array().into_iter().flatten();
    ensure(listed.any(|urn| urn == ENTERPRISE), &read, "expected `schemas` to list the extension")
}

fn read_only_ignored(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("readonly"));
    let foreign = "https://elsewhere.invalid/Users/1";
    // Random: should the server use it, it is nobody else's.
    body["id"] = json!(s.nobody("/Users")?.id);
    body["meta"] = json!({ "resourceType": "User", "location": foreign, "created": "2001-01-01T00:00:00Z" });
    body["groups"] = json!([{ "value": "no-such-group", "display": "Admins" }]);
    let answer = s.create("/Users", &body)?;
    let user = s.created(&answer)?;
    body["displayName"] = json!("Changed");
    s.put(&user, &body)?.resource()?.is("/displayName", "Changed")?;
    let read = s.read(&user)?;
    read.resource()?.lacks("/groups")?;
    ensure(read.json["id"] == answer.json["id"], &read, "expected the id to stay")?;
    ensure(read.json["meta"]["location"] != foreign, &read, "expected the server's own meta.location")
}

fn duplicate(s: &mut Session) -> Played {
    let first = s.user("twice")?;
    let body = plain_user(&first.name);
    let again = s.create("/Users", &body)?;
    again.status(&[409])?;
    Ok(())
}

fn duplicate_type(s: &mut Session) -> Played {
    let first = s.user("twice")?;
    let again = s.create("/Users", &plain_user(&first.name))?;
    if (200..300).contains(&again.code()) {
        return Err(Stop::Skipped("the server takes duplicates: see rfc-duplicate".to_owned()));
    }
    again.error_type(409, &["uniqueness"])?;
    Ok(())
}

fn username_case(s: &mut Session) -> Played {
    let first = s.user("case")?;
    let again = s.create("/Users", &plain_user(&first.name.replace("-case@", "-CASE@")))?;
    again.status(&[409])?;
    Ok(())
}

fn put(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("put"));
    body["nickName"] = json!("Annie");
    let user = s.given("/Users", &body)?;
    let mut changed = plain_user(&user.name);
    changed["name"] = json!({ "givenName": "Anna", "familyName": "Leigh" });
    changed["title"] = json!("Engineer");
    let answer = s.put(&user, &changed)?;
    answer.resource()?.keeps(&changed)?;
    let read = s.read(&user)?;
    // What is left out may be cleared or kept (§3.5.1): nothing is asserted about nickName.
    read.resource()?.keeps(&changed)?.is("/id", answer.json["id"].clone())?;
    let (nobody, name) = (s.nobody("/Users")?, s.mail("nobody"));
    // A server that creates it all the same must not be left with it.
    s.expect_made("/Users", &name);
    s.put(&nobody, &plain_user(&name))?.error(&[404])?;
    Ok(())
}

fn put_self(s: &mut Session) -> Played {
    let user = s.user("self")?;
    s.put(&user, &plain_user(&user.name))?.status(&[200, 204])?;
    Ok(())
}

fn put_without_active(s: &mut Session) -> Played {
    let user = s.user("active")?;
    let mut body = plain_user(&user.name);
    if let Some(members) = body.as_object_mut() {
        members.remove("active");
    }
    s.put(&user, &body)?.status(&[200, 204])?;
    let read = s.read(&user)?;
    ensure(read.resource()?.json["active"] != false, &read, "expected active to be true or unset, found false")
}

fn delete(s: &mut Session) -> Played {
    let user = s.user("delete")?;
    let deleted = s.delete(&user)?;
    deleted.status(&[204])?;
    ensure(deleted.exchange.body.is_empty(), &deleted, "expected no body with 204")?;
    s.read(&user)?.error(&[404])?;
    s.find("/Users", "userName", &user.name)?.found(&[])?;
    s.delete(&user)?.error(&[404])?;
    Ok(())
}

fn create_after_delete(s: &mut Session) -> Played {
    let user = s.user("return")?;
    s.delete(&user)?.status(&[204])?;
    s.create("/Users", &plain_user(&user.name))?.status(&[201])?;
    Ok(())
}

fn password_hidden(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("password"));
    body["password"] = json!("t1meMa$heen-9Q");
    let answer = s.create("/Users", &body)?;
    let user = s.created(&answer)?;
    let asked = s.get(&format!("{}?attributes=password", user.path()))?;
    for answer in [answer, s.read(&user)?, asked] {
        let shown =
            answer.at("/password").is_some_and(Value::is_string) || answer.exchange.body.contains("t1meMa$heen");
        ensure(!shown, &answer, "expected no password in the answer")?;
    }
    Ok(())
}

fn unknown_attributes(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("unknown"));
    body["schemas"] =
        json!(["urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:params:scim:schemas:unknown:2.0:User"]);
    body["shoeSize"] = json!("43");
    body["urn:example:params:scim:schemas:unknown:2.0:User"] = json!({ "badge": "1" });
    let user = s.send(&Request::create("/Users", &body))?;
    user.status(&[201])?.is("/name/givenName", "Ann")?;
    Ok(())
}

fn attribute_case(s: &mut Session) -> Played {
    let name = s.mail("names");
    let mut body = plain_user(&name);
    body["NickName"] = json!("Annie");
    body["emails"] = json!([{ "Value": name, "Type": "work", "Primary": true }]);
    let answer = s.create("/Users", &body)?;
    answer.status(&[201])?;
    let read = s.created(&answer).and_then(|user| s.read(&user))?;
    ensure(read.json["nickName"] == "Annie", &read, "expected nickName, which was sent as NickName")?;
    ensure(read.json["emails"][0]["value"] == name.as_str(), &read, "expected emails[0].value, which was sent as Value")
}
