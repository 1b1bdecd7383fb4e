//! Requests at the same time, as providers send them from several workers.

use serde_json::json;

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Answer, Made, Played, Request, Stop};
use super::super::expect::{ensure, values};
use super::super::session::{Session, plain_user};

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-race-duplicate",
        provider: Provider::Rfc,
        title: "Of equal creations at once, one succeeds",
        reference: "RFC 7644 §3.3; RFC 7643 §7 (uniqueness)",
        severity: Severity::Breaks,
        breaks: "A retry that overlaps its first attempt makes a second account.",
        fix: "Let the database enforce uniqueness (a unique index), not a look-up before the insertion.",
        play: duplicate,
    },
    Check {
        id: "rfc-race-members",
        provider: Provider::Rfc,
        title: "Members that are added at once are all there",
        reference: "RFC 7644 §3.5.2.1",
        severity: Severity::Breaks,
        breaks: "Memberships that the provider has reported as done are missing, and nobody sends them again.",
        fix: "Store memberships as rows of their own, or lock the group while it is changed; answer 409, 412, 429 or 503 where an \
              attempt is lost.",
        play: members,
    },
    Check {
        id: "rfc-race-attributes",
        provider: Provider::Rfc,
        title: "Different attributes that are changed at once all keep their new values",
        reference: "RFC 7644 §3.5.2",
        severity: Severity::Degrades,
        breaks: "One change of two that arrive together is lost, though both were acknowledged.",
        fix: "Change the resource in a transaction: read, apply and write under a lock or a version check.",
        play: attributes,
    },
];

/// How many requests at once.
const WIDTH: usize = 8;

/// Whether a lost race was answered in a way that makes a client try again.
fn honest(answer: &Answer) -> bool {
    matches!(answer.code(), 200 | 204 | 409 | 412 | 429 | 503)
}

fn duplicate(s: &mut Session) -> Played {
    let body = plain_user(&s.mail("race"));
    let requests = vec![Request::create("/Users", &body); WIDTH];
    let answers = s.at_once(&requests)?.into_iter().collect::<Result<Vec<_>, Stop>>()?;
    let created: Vec<&Answer> = answers.iter().filter(|answer| answer.code() == 201).collect();
    for answer in &answers {
        answer.status(&[201, 409, 429, 503])?;
    }
    if let [_, second, ..] = created.as_slice() {
        let count = created.len();
        return Err(second.fail(format!("expected one of {WIDTH} equal requests to create, found {count}")));
    }
    ensure(created.len() == 1, &answers[0], "expected one of the equal requests to create, found none")?;
    s.find("/Users", "userName", body["userName"].as_str().unwrap_or_default())?.list()?.total_is(1)?;
    Ok(())
}

fn members(s: &mut Session) -> Played {
    let users = s.users("race", 2 * WIDTH)?;
    let group = s.group("race", &[])?;
    let add =
        |user: &Made| Request::patch(&group, &json!([{ "op": "add", "path": "members", "value": [user.member()] }]));
    let requests: Vec<Request> = users.iter().map(add).collect();
    let answers = s.at_once(&requests)?.into_iter().collect::<Result<Vec<_>, Stop>>()?;
    for answer in &answers {
        ensure(
            honest(answer),
            answer,
            "expected success, or 409, 412, 429 or 503, which tell that nothing was changed",
        )?;
    }
    let added: Vec<&Made> =
        users.iter().zip(&answers).filter(|(_, answer)| answer.code() < 300).map(|(user, _)| user).collect();
    ensure(!added.is_empty(), &answers[0], "expected at least one of the requests to succeed")?;
    let read = s.read(&group)?;
    let there: Vec<&str> = values(read.resource()?.at("/members")).collect();
    let lost = added.iter().filter(|user| !there.contains(&user.id.as_str())).count();
    let all = added.len();
    ensure(lost == 0, &read, &format!("expected the {all} members whose addition was acknowledged; {lost} are missing"))
}

fn attributes(s: &mut Session) -> Played {
    let names = ["nickName", "title", "userType", "locale"];
    for round in 0..3 {
        let user = s.user(&format!("race{round}"))?;
        let set = |name: &&str| Request::patch(&user, &json!([{ "op": "add", "path": name, "value": "en-GB" }]));
        let requests: Vec<Request> = names.iter().map(set).collect();
        let answers = s.at_once(&requests)?.into_iter().collect::<Result<Vec<_>, Stop>>()?;
        let read = s.read(&user)?;
        for (name, answer) in names.iter().zip(&answers) {
            ensure(
                honest(answer),
                answer,
                "expected success, or 409, 412, 429 or 503, which tell that nothing was changed",
            )?;
            if answer.code() < 300 {
                read.resource()?.is(&format!("/{name}"), "en-GB")?;
            }
        }
    }
    Ok(())
}
