//! Whether there is a SCIM server that lets us in, before anything is made.

use super::CheckError;
use super::exchange::{Answer, Request, Stop};
use super::session::Session;

/// Where SCIM often is below the URL that somebody gave.
const USUAL: [&str; 3] = ["/scim/v2", "/v2", "/scim"];

/// Reads one user's worth of list. What is wrong with the list itself is for the checks to tell.
pub(super) fn reachable(session: &mut Session, url: &str) -> Result<(), CheckError> {
    let answer = match session.send(&Request::get("/Users?startIndex=1&count=1")) {
        Ok(answer) => answer,
        Err(Stop::Interrupted) => return Err(CheckError::Interrupted),
        Err(Stop::Failed(failure) | Stop::Blocked(failure)) => {
            return Err(CheckError::Unreachable { url: url.to_owned(), reason: failure.message });
        }
        Err(Stop::Skipped(reason)) => return Err(CheckError::Unreachable { url: url.to_owned(), reason }),
    };
    match answer.code() {
        401 | 403 => Err(CheckError::Refused { url: url.to_owned(), status: answer.code() }),
        _ if is_list(&answer) => Ok(()),
        // Another error may be the very thing to be found; but a 404 or a page for people is another place.
        200..=399 | 404 => Err(elsewhere(session, url, &answer)),
        _ => Ok(()),
    }
}

fn elsewhere(session: &mut Session, url: &str, answer: &Answer) -> CheckError {
    let mut instead = None;
    for path in USUAL {
        let found = session.send(&Request::get(format!("{path}/Users?startIndex=1&count=1")));
        if found.is_ok_and(|answer| is_list(&answer)) {
            instead = Some(format!("{}{path}", url.trim_end_matches('/')));
            break;
        }
    }
    let found = match answer.code() {
        200 => "GET /Users there answers something that is no list of resources".to_owned(),
        status => format!("GET /Users there answers {status}"),
    };
    CheckError::NoScim { url: url.to_owned(), found, instead }
}

fn is_list(answer: &Answer) -> bool {
    answer.code() == 200 && (answer.json["Resources"].is_array() || !answer.json["totalResults"].is_null())
}
