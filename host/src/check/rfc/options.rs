//! What a server may leave out, but must do right where it announces it (RFC 7643 §5).

use serde_json::json;

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Played, Request, Stop};
use super::super::expect::ensure;
use super::super::session::{Session, plain_user};
use crate::command::encoded;

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-sort",
        provider: Provider::Rfc,
        title: "sortBy and sortOrder, where sort is announced",
        reference: "RFC 7644 §3.4.2.3",
        severity: Severity::Cosmetic,
        breaks: "Clients that page by a sorted key miss users.",
        fix: "Sort by the attribute, or announce sort.supported false.",
        play: sort,
    },
    Check {
        id: "rfc-etag",
        provider: Provider::Rfc,
        title: "ETag, If-Match and If-None-Match, where etag is announced",
        reference: "RFC 7644 §3.14",
        severity: Severity::Degrades,
        breaks: "Clients that protect their changes with If-Match overwrite those of others.",
        fix: "Answer 412 to an outdated If-Match and 304 to a current If-None-Match, or announce etag.supported false.",
        play: etag,
    },
    Check {
        id: "rfc-bulk",
        provider: Provider::Rfc,
        title: "Bulk with references between its operations, where bulk is announced",
        reference: "RFC 7644 §3.7.2",
        severity: Severity::Degrades,
        breaks: "Clients that rely on Bulk create groups without members.",
        fix: "Replace bulkId references by the ids that were given out, or announce bulk.supported false.",
        play: bulk,
    },
    Check {
        id: "rfc-bulk-limit",
        provider: Provider::Rfc,
        title: "More operations than maxOperations are 413",
        reference: "RFC 7644 §3.7.4",
        severity: Severity::Cosmetic,
        breaks: "Clients don't learn that they must send less at a time.",
        fix: "Answer 413 with a SCIM Error that names the limit.",
        play: bulk_limit,
    },
];

fn sort(s: &mut Session) -> Played {
    s.needs("sort")?;
    let users = s.users("sort", 3)?;
    let filter = encoded(&format!("userName sw \"{}\"", s.name("sort")));
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    let reversed: Vec<&str> = ids.iter().rev().copied().collect();
    for (order, expected) in [("ascending", ids), ("descending", reversed)] {
        let answer = s.get(&format!("/Users?filter={filter}&sortBy=userName&sortOrder={order}"))?;
        let list = answer.list()?;
        let found: Vec<&str> = list.ids().collect();
        ensure(found == expected, &answer, &format!("expected the users by userName, {order}"))?;
    }
    Ok(())
}

fn etag(s: &mut Session) -> Played {
    s.needs("etag")?;
    let user = s.user("etag")?;
    let read = s.read(&user)?;
    let Some(first) = read.header("etag").map(str::to_owned) else {
        return Err(read.fail("expected an ETag header"));
    };
    read.is("/meta/version", first.as_str())?;
    let unchanged = s.send(&Request::get(user.path()).header("if-none-match", &first))?;
    unchanged.status(&[304])?;
    let rename = |name: &str| json!([{ "op": "replace", "path": "displayName", "value": name }]);
    s.send(&Request::patch(&user, &rename("Second")).header("if-match", &first))?.patched()?;
    s.send(&Request::patch(&user, &rename("Third")).header("if-match", &first))?.error(&[412])?;
    s.read(&user)?.resource()?.is("/displayName", "Second")?;
    Ok(())
}

fn bulk(s: &mut Session) -> Played {
    s.needs("bulk")?;
    let (user, group) = (s.mail("bulk"), s.name("bulk"));
    s.expect_made("/Users", &user);
    s.expect_made("/Groups", &group);
    let answer = s.send(&Request::bulk(&json!([
        { "method": "POST", "path": "/Users", "bulkId": "ann", "data": plain_user(&user) },
        { "method": "POST", "path": "/Groups", "bulkId": "all", "data": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": group,
            "members": [{ "type": "User", "value": "bulkId:ann" }],
        } },
    ])))?;
    answer.resource()?;
    for operation in ["0", "1"] {
        let status = answer.at(&format!("/Operations/{operation}/status"));
        ensure(status.is_some_and(|status| status == "201"), &answer, "expected status \"201\" for each operation")?;
        answer.has(&format!("/Operations/{operation}/location"))?;
    }
    let users = s.find("/Users", "userName", &user)?;
    let id = users.list()?.total_is(1)?.ids().next().map(str::to_owned);
    let groups = s.find("/Groups", "displayName", &group)?;
    groups.list()?.total_is(1)?;
    let Some(id) = id else { return Err(users.fail("expected the user of the Bulk to be there")) };
    groups.values_are("/Resources/0/members", &[&id])?;
    Ok(())
}

fn bulk_limit(s: &mut Session) -> Played {
    s.needs("bulk")?;
    let limit = s.config()?["bulk"]["maxOperations"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let Some(limit) = limit.filter(|limit| *limit <= 2000) else {
        return Err(Stop::Skipped("maxOperations is too large, or missing".to_owned()));
    };
    // Should they be run, they find nobody.
    let path = s.nobody("/Users")?.path();
    let operations = vec![json!({ "method": "DELETE", "path": path }); limit + 1];
    s.send(&Request::bulk(&json!(operations)))?.error(&[413])?;
    Ok(())
}
