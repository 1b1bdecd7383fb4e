//! Searching and paging (RFC 7644 §3.4.2).

use std::collections::BTreeSet;

use serde_json::json;

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Made, Played, Request, Stop};
use super::super::expect::{ENTERPRISE, ensure};
use super::super::session::{Session, plain_user};
use crate::command::encoded;

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-list",
        provider: Provider::Rfc,
        title: "A list is a ListResponse with integers",
        reference: "RFC 7644 §3.4.2",
        severity: Severity::Breaks,
        breaks: "Connection tests fail, and imports end at the first page.",
        fix: "Answer with schemas, totalResults, startIndex, itemsPerPage as JSON integers, and the array Resources.",
        play: list,
    },
    Check {
        id: "rfc-filter-none",
        provider: Provider::Rfc,
        title: "A search that finds nothing is 200 with totalResults 0",
        reference: "RFC 7644 §3.4.2",
        severity: Severity::Breaks,
        breaks: "Entra ID takes a 404 for a broken connection: new users are never created, and the job is quarantined.",
        fix: "Answer 200 with totalResults 0; 404 is for resources that are addressed by id.",
        play: filter_none,
    },
    Check {
        id: "rfc-filter-exact",
        provider: Provider::Rfc,
        title: "eq finds the equal value, not those that begin with it",
        reference: "RFC 7644 §3.4.2.2",
        severity: Severity::Breaks,
        breaks: "The provider matches the wrong account, and overwrites or deactivates a stranger.",
        fix: "Evaluate the filter, and compare whole values with eq.",
        play: filter_exact,
    },
    Check {
        id: "rfc-filter-case",
        provider: Provider::Rfc,
        title: "userName is found in any case; operators and attribute names have none",
        reference: "RFC 7644 §3.4.2.2; RFC 7643 §4.1.1",
        severity: Severity::Breaks,
        breaks: "Ann@example.com is not matched with ann@example.com: the provider creates her again and gets 409 for ever.",
        fix: "Compare by the attribute's caseExact; parse operators and attribute names without case.",
        play: filter_case,
    },
    Check {
        id: "rfc-filter-invalid",
        provider: Provider::Rfc,
        title: "A filter that can't be evaluated is 400 invalidFilter, not an empty list",
        reference: "RFC 7644 §3.4.2.2, §3.12",
        severity: Severity::Degrades,
        breaks: "The provider concludes that nobody is there and creates everybody again, or takes a stranger from the full list.",
        fix: "Answer 400 with scimType invalidFilter to what is not understood.",
        play: filter_invalid,
    },
    Check {
        id: "rfc-filter-operators",
        provider: Provider::Rfc,
        title: "and, or, not, sw, co, ew, ne, pr and brackets",
        reference: "RFC 7644 §3.4.2.2",
        severity: Severity::Degrades,
        breaks: "Clients that combine conditions (Entra ID sends `and`, SailPoint `or`) find the wrong users.",
        fix: "Implement the whole grammar with its precedence: not, and, or.",
        play: filter_operators,
    },
    Check {
        id: "rfc-filter-quotes",
        provider: Provider::Rfc,
        title: "Quotes, backslashes and brackets in a filter's value",
        reference: "RFC 7644 §3.4.2.2 (JSON strings)",
        severity: Severity::Degrades,
        breaks: "A group called Sales \"EMEA\" can't be matched, or the filter is injected into a query.",
        fix: "Parse the compared value as a JSON string.",
        play: filter_quotes,
    },
    Check {
        id: "rfc-filter-multi-valued",
        provider: Provider::Rfc,
        title: "Filters on e-mail addresses: emails.value, emails, and emails[…]",
        reference: "RFC 7644 §3.4.2.2",
        severity: Severity::Degrades,
        breaks: "Providers that match by e-mail (Ping, Rippling) do not find the account, and create it twice.",
        fix: "Match where any value does; within [ ] all conditions must hold for one value.",
        play: filter_multi_valued,
    },
    Check {
        id: "rfc-filter-extension",
        provider: Provider::Rfc,
        title: "Filters on the enterprise extension, by its URN",
        reference: "RFC 7644 §3.4.2.2, §3.10",
        severity: Severity::Degrades,
        breaks: "Matching by employee number fails.",
        fix: "Accept urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber as an attribute name.",
        play: filter_extension,
    },
    Check {
        id: "rfc-filter-id",
        provider: Provider::Rfc,
        title: "Filters on id and externalId",
        reference: "RFC 7643 §3.1; RFC 7644 §3.4.2.2",
        severity: Severity::Breaks,
        breaks: "Providers that match by externalId (Entra ID where configured, Keycloak) create duplicates.",
        fix: "Support eq on the common attributes id and externalId.",
        play: filter_id,
    },
    Check {
        id: "rfc-paging",
        provider: Provider::Rfc,
        title: "Pages show every resource once, with the same total and the startIndex that was asked for",
        reference: "RFC 7644 §3.4.2.4",
        severity: Severity::Breaks,
        breaks: "Imports miss users, which counts as deleted, or see them twice, or never end.",
        fix: "Order by something that doesn't change, count all matches in totalResults, echo startIndex, begin at 1.",
        play: paging,
    },
    Check {
        id: "rfc-paging-edges",
        provider: Provider::Rfc,
        title: "startIndex below 1 means 1; count 0 and below show no resources",
        reference: "RFC 7644 §3.4.2.4",
        severity: Severity::Degrades,
        breaks: "Clients that count from 0 lose a user on each page; those that ask for the total alone get everything or an error.",
        fix: "Take a startIndex below 1 for 1 and a negative count for 0; answer count=0 with the total and no Resources.",
        play: paging_edges,
    },
    Check {
        id: "rfc-page-beyond-end",
        provider: Provider::Rfc,
        title: "A page beyond the end is empty, with the right total",
        reference: "RFC 7644 §3.4.2.4",
        severity: Severity::Degrades,
        breaks: "Clients that read until a page is empty fail at the end, or never end.",
        fix: "Answer 200 with no Resources, and the same totalResults as on other pages.",
        play: beyond_end,
    },
    Check {
        id: "rfc-attributes",
        provider: Provider::Rfc,
        title: "attributes and excludedAttributes",
        reference: "RFC 7644 §3.9",
        severity: Severity::Degrades,
        breaks: "Entra ID reads groups with excludedAttributes=members: each match transfers all members.",
        fix: "Return only what is asked for, and id and schemas always.",
        play: attributes,
    },
    Check {
        id: "rfc-inactive-listed",
        provider: Provider::Rfc,
        title: "Inactive users are found, listed and read as any other",
        reference: "RFC 7643 §4.1.1 (active)",
        severity: Severity::Breaks,
        breaks: "Whoever comes back can't be reactivated: the provider doesn't see the account, and its POST is 409.",
        fix: "`active` false is a state, not a deletion: do not filter by it.",
        play: inactive,
    },
    Check {
        id: "rfc-search-by-post",
        provider: Provider::Rfc,
        title: "POST /Users/.search",
        reference: "RFC 7644 §3.4.3",
        severity: Severity::Cosmetic,
        breaks: "Clients that keep personal data out of URLs can't search.",
        fix: "Support POST {endpoint}/.search with a SearchRequest.",
        play: search,
    },
];

/// Three users that a filter can tell from everybody else's.
fn three(s: &mut Session) -> Result<(Vec<Made>, String), Stop> {
    let users = s.users("three", 3)?;
    let prefix = s.name("three");
    Ok((users, prefix))
}

fn list(s: &mut Session) -> Played {
    let user = s.user("list")?;
    let answer = s.get("/Users?startIndex=1&count=1")?;
    answer.list()?.shows(1)?;
    answer.has("/startIndex")?.has("/itemsPerPage")?.has("/Resources/0/id")?;
    let found = s.find("/Users", "userName", &user.name)?;
    found.found(&[&user])?;
    found.is_name("/Resources/0/userName", &user.name)?;
    Ok(())
}

fn filter_none(s: &mut Session) -> Played {
    let name = s.mail("nobody");
    s.find("/Users", "userName", &name)?.found(&[])?;
    Ok(())
}

fn filter_exact(s: &mut Session) -> Played {
    let short = s.given("/Users", &plain_user(&s.name("exact")))?;
    let long = s.given("/Users", &plain_user(&s.name("exact-longer")))?;
    s.find("/Users", "userName", &short.name)?.found(&[&short])?;
    s.find("/Users", "userName", &long.name)?.found(&[&long])?;
    Ok(())
}

fn filter_case(s: &mut Session) -> Played {
    let user = s.user("case")?;
    s.find("/Users", "userName", &user.name.to_uppercase())?.found(&[&user])?;
    s.filter("/Users", &format!("USERNAME Eq \"{}\"", user.name))?.found(&[&user])?;
    Ok(())
}

fn filter_invalid(s: &mut Session) -> Played {
    for filter in ["userName eqq \"x\"", "userName eq", "(userName eq \"x\""] {
        s.filter("/Users", filter)?.error_type(400, &["invalidFilter"])?;
    }
    Ok(())
}

fn filter_operators(s: &mut Session) -> Played {
    let (users, prefix) = three(s)?;
    let (one, two, three) = (&users[0], &users[1], &users[2]);
    let own = format!("userName sw \"{prefix}\"");
    s.patch(two, &json!([{ "op": "add", "path": "nickName", "value": "Deux" }]))?.patched()?;
    for (filter, expected) in [
        (own.clone(), vec![one, two, three]),
        (format!("{own} and nickName pr"), vec![two]),
        (format!("{own} and not (nickName pr)"), vec![one, three]),
        (format!("userName eq \"{}\" or userName eq \"{}\"", one.name, three.name), vec![one, three]),
        (format!("{own} and (userName co \"three001\" or userName co \"three002\")"), vec![two, three]),
        (format!("{own} and userName ne \"{}\"", one.name), vec![two, three]),
        (format!("{own} and nickName ew \"ux\""), vec![two]),
        (format!("{own} and active eq true"), vec![one, two, three]),
    ] {
        s.filter("/Users", &filter)?.found(&expected)?;
    }
    Ok(())
}

fn filter_quotes(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("quotes"));
    let title = format!("{} \"EMEA\" \\ (a or b)", s.name("quotes"));
    body["displayName"] = json!(title);
    let user = s.given("/Users", &body)?;
    s.find("/Users", "displayName", &title)?.found(&[&user])?;
    Ok(())
}

fn filter_multi_valued(s: &mut Session) -> Played {
    let user = s.user("emails")?;
    let other = s.user("others")?;
    for filter in [
        format!("emails.value eq \"{}\"", user.name),
        format!("emails eq \"{}\"", user.name),
        format!("emails[type eq \"work\" and value eq \"{}\"]", user.name),
    ] {
        s.filter("/Users", &filter)?.found(&[&user])?;
    }
    s.filter("/Users", &format!("emails[type eq \"home\" and value eq \"{}\"]", other.name))?.found(&[])?;
    Ok(())
}

fn filter_extension(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("extension"));
    let number = s.name("number");
    body["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]);
    body[ENTERPRISE] = json!({ "employeeNumber": number });
    let user = s.given("/Users", &body)?;
    s.find("/Users", &format!("{ENTERPRISE}:employeeNumber"), &number)?.found(&[&user])?;
    Ok(())
}

fn filter_id(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("ids"));
    let external = s.name("external");
    body["externalId"] = json!(external);
    let user = s.given("/Users", &body)?;
    s.find("/Users", "externalId", &external)?.found(&[&user])?;
    s.find("/Users", "id", &user.id.clone())?.found(&[&user])?;
    Ok(())
}

fn paging(s: &mut Session) -> Played {
    let users = s.users("page", 5)?;
    let filter = encoded(&format!("userName sw \"{}\"", s.name("page")));
    let mut seen = BTreeSet::new();
    for (start, shown) in [(1_u64, 2), (3, 2), (5, 1)] {
        let page = s.get(&format!("/Users?filter={filter}&startIndex={start}&count=2"))?;
        let list = page.list()?.total_is(users.len())?.shows(shown)?;
        page.is("/startIndex", start)?.is("/itemsPerPage", shown)?;
        for id in list.ids() {
            ensure(seen.insert(id.to_owned()), &page, "expected each resource once, found one on two pages")?;
        }
    }
    let all: BTreeSet<String> = users.into_iter().map(|user| user.id).collect();
    let last = s.get(&format!("/Users?filter={filter}"))?;
    ensure(seen == all, &last, "expected the pages to show all resources; some were on none")
}

fn paging_edges(s: &mut Session) -> Played {
    let (users, prefix) = three(s)?;
    let filter = encoded(&format!("userName sw \"{prefix}\""));
    for start in ["0", "-5"] {
        let page = s.get(&format!("/Users?filter={filter}&startIndex={start}&count=1"))?;
        page.list()?.total_is(users.len())?.shows(1)?;
        page.is("/startIndex", 1)?;
    }
    for count in ["0", "-1"] {
        let page = s.get(&format!("/Users?filter={filter}&count={count}"))?;
        page.list()?.total_is(users.len())?.shows(0)?;
    }
    Ok(())
}

fn beyond_end(s: &mut Session) -> Played {
    let (users, prefix) = three(s)?;
    let filter = encoded(&format!("userName sw \"{prefix}\""));
    s.get(&format!("/Users?filter={filter}&startIndex=100&count=10"))?.list()?.total_is(users.len())?.shows(0)?;
    Ok(())
}

fn attributes(s: &mut Session) -> Played {
    let user = s.user("attributes")?;
    let filter = encoded(&format!("userName eq \"{}\"", user.name));
    let only = s.get(&format!("/Users?filter={filter}&attributes=userName,emails"))?;
    only.found(&[&user])?;
    only.has("/Resources/0/userName")?.has("/Resources/0/emails")?.lacks("/Resources/0/name")?;
    let without = s.get(&format!("{}?excludedAttributes=name,emails", user.path()))?;
    without.resource()?.has("/id")?.has("/userName")?.lacks("/name")?.lacks("/emails")?;
    Ok(())
}

fn inactive(s: &mut Session) -> Played {
    let mut body = plain_user(&s.mail("inactive"));
    body["active"] = json!(false);
    let user = s.given("/Users", &body)?;
    s.read(&user)?.resource()?.is("/active", false)?;
    let found = s.find("/Users", "userName", &user.name)?;
    found.found(&[&user])?;
    found.is("/Resources/0/active", false)?;
    s.filter("/Users", &format!("userName sw \"{}\"", s.name("inactive")))?.found(&[&user])?;
    Ok(())
}

fn search(s: &mut Session) -> Played {
    let user = s.user("search")?;
    let answer = s.send(&Request::search(
        "/Users",
        &json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": format!("userName eq \"{}\"", user.name),
            "startIndex": 1,
            "count": 10,
        }),
    ))?;
    answer.found(&[&user])?;
    Ok(())
}
