//! The question to the application, over wasi:http.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::policy::{Change, OnFailure, Refusal, Verdict, question, unanswered, verdict};
use crate::settings::variable;
use crate::url::Url;

/// How long to wait to connect, for the answer's head, and between its parts, in nanoseconds: a client waits meanwhile.
const TIMEOUT: u64 = 5_000_000_000;
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;
/// Bytes that a stream takes in one blocking write.
const CHUNK: usize = 4096;

/// Asks the application of the variable `policy_url`, if there is one. What goes wrong is written by `log`.
pub(crate) fn review(change: &Change, log: impl Fn(&str)) -> Result<(), Refusal> {
    let url = match variable("policy_url") {
        Ok(url) if url.is_empty() => return Ok(()),
        url => url.and_then(|url| Url::policy(&url)),
    };
    let answer = url.and_then(|url| ask(&url, &question(change)));
    let failure = match answer.map(|(status, body)| verdict(status, &body)) {
        Ok(Verdict::Allowed) => return Ok(()),
        Ok(Verdict::Refused(refusal)) => return Err(refusal),
        Ok(Verdict::Failed(why)) | Err(why) => why,
    };
    log(&failure);
    match variable("policy_failure").and_then(|variable| OnFailure::configured(&variable)) {
        Ok(OnFailure::Open) => Ok(()),
        Ok(OnFailure::Closed) => Err(unanswered()),
        Err(why) => {
            log(&why);
            Err(unanswered())
        }
    }
}

/// Status and body of the answer.
fn ask(url: &Url, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let headers = Fields::new();
    let token = variable("policy_token")?;
    let mut fields = vec![("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())];
    if !token.is_empty() {
        fields.push(("authorization", format!("Bearer {token}")));
    }
    for (name, value) in fields {
        headers.append(name, value.as_bytes()).map_err(|error| format!("the header {name} can't be sent: {error}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if url.https { Scheme::Https } else { Scheme::Http };
    let taken = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&url.target)));
    taken.map_err(|()| format!("variable `policy_url`: {} is no URL that HTTP can carry", url.origin()))?;
    let options = RequestOptions::new();
    for set in [
        RequestOptions::set_connect_timeout,
        RequestOptions::set_first_byte_timeout,
        RequestOptions::set_between_bytes_timeout,
    ] {
        // A host that knows no such time-out keeps to its own.
        let _ = set(&options, Some(TIMEOUT));
    }
    let failed = |why: &dyn std::fmt::Debug| format!("{} gives no answer: {why:?}", url.origin());
    let unsent = |error: &_| format!("{}; does `allowed_outbound_hosts` name {}?", failed(error), url.origin());
    let outgoing = request.body().map_err(|()| "the request has no body".to_owned())?;
    let sent = outgoing_handler::handle(request, Some(options)).map_err(|error| unsent(&error))?;
    // Spin closes the body of a request that it refuses to send, or can't; only the answer's failure tells why.
    let written = write(outgoing, body);
    sent.subscribe().block();
    let response = match sent.get() {
        Some(Ok(Ok(response))) => {
            written.map_err(|error| failed(&error))?;
            response
        }
        Some(Ok(Err(error))) => return Err(unsent(&error)),
        Some(Err(())) | None => return Err(failed(&"the answer is gone")),
    };
    let status = response.status();
    let incoming = response.consume().map_err(|()| failed(&"the answer has no body"))?;
    Ok((status, read(&incoming).map_err(|error| failed(&error))?))
}

fn write(outgoing: OutgoingBody, body: &[u8]) -> Result<(), StreamError> {
    let stream = outgoing.write().map_err(|()| StreamError::Closed)?;
    body.chunks(CHUNK).try_for_each(|chunk| stream.blocking_write_and_flush(chunk))?;
    drop(stream);
    OutgoingBody::finish(outgoing, None).map_err(|_| StreamError::Closed)
}

fn read(incoming: &IncomingBody) -> Result<Vec<u8>, StreamError> {
    let stream = incoming.stream().map_err(|()| StreamError::Closed)?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES {
        match stream.blocking_read((ANSWER_BYTES - bytes.len()) as u64) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
