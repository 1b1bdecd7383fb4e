//! The storage check behind HTTP, for hosts of wasi:http: it imports `storage-check`, and whoever composes it says over which
//! storage. Such hosts give each request an instance of its own, so that the parts of a race are requests at once.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /` | lists the cases: `[{"name": "create-race", "clause": "Of those who …", "race": true}, …]` |
//! | `POST /{case}` | runs one |
//! | `POST /{case}/prepare` | makes a race's tenant ready |
//! | `POST /{case}/parts/{n}/{of}` | takes part number n, counted from 0 |
//! | `POST /{case}/conclude/{of}` | looks at what all parts have left |
//!
//! A verdict is `{"verdict": "passed"}`, or `failed` or `skipped` with a reason as `why`. What failed is answered 500, as a
//! trap is by the host.

use serde_json::{Value, json};

// Nothing here prints.
#[path = "../../guest/src/component/libc.rs"]
mod libc;

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package scimwell:checking;
            world checking {
                import scimwell:provider/storage-check@0.1.0;
                export wasi:http/incoming-handler@0.2.12;
            }
        ",
        world: "scimwell:checking/checking",
        generate_all,
        export_macro_name: "export",
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::scimwell::provider::storage_check::{self, Verdict};
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// Bytes given to a stream at once: what `blocking-write-and-flush` takes at most.
const CHUNK: usize = 4096;

struct Checking;

impl Guest for Checking {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (status, body) = answer(&request.method(), &segments);
        write(status, &format!("{body}\n"), out);
    }
}

fn answer(method: &Method, segments: &[&str]) -> (u16, Value) {
    match (method, segments) {
        (Method::Get, []) => (200, cases()),
        (Method::Post, [name, rest @ ..]) if storage_check::cases().iter().any(|case| case.name == *name) => {
            match told(name, rest) {
                Some(Verdict::Passed) => (200, json!({"verdict": "passed"})),
                Some(Verdict::Skipped(why)) => (200, json!({"verdict": "skipped", "why": why})),
                Some(Verdict::Failed(why)) => (500, json!({"verdict": "failed", "why": why})),
                None => missing(
                    "a case is run by POST /{case}, or by /prepare, /parts/{n}/{of} and /conclude/{of} below it",
                ),
            }
        }
        (Method::Post, _) => missing("there is no such case; GET / lists them"),
        _ => (405, json!({"error": "GET / lists the cases, POST /{case} runs one"})),
    }
}

fn cases() -> Value {
    let cases = storage_check::cases();
    cases.iter().map(|case| json!({"name": case.name, "clause": case.clause, "race": case.race})).collect()
}

/// The verdict of what is asked below a case's name.
fn told(name: &str, rest: &[&str]) -> Option<Verdict> {
    Some(match rest {
        [] => storage_check::run(name),
        ["prepare"] => storage_check::prepare(name),
        ["parts", part, of] => storage_check::take_part(name, part.parse().ok()?, of.parse().ok()?),
        ["conclude", of] => storage_check::conclude(name, of.parse().ok()?),
        _ => return None,
    })
}

fn missing(why: &str) -> (u16, Value) {
    (404, json!({"error": why}))
}

fn write(status: u16, text: &str, out: ResponseOutparam) {
    let headers = Fields::new();
    for (name, value) in [("content-type", "application/json"), ("content-length", &text.len().to_string())] {
        // It fails for forbidden names only.
        let _ = headers.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(headers);
    let (Ok(()), Ok(body)) = (response.set_status_code(status), response.body()) else {
        ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    // Whoever asked may have gone by now, which is their own affair.
    if let Ok(stream) = body.write() {
        let _ = text.as_bytes().chunks(CHUNK).try_for_each(|chunk| stream.blocking_write_and_flush(chunk));
    }
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Checking with_types_in bindings);
