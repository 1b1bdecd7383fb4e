//! A POST over wasi:http, and its answer.

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package scimwell:outgoing;
            world outgoing {
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        world: "scimwell:outgoing/outgoing",
        generate_all,
    });
}

use std::fmt::Debug;

use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use bindings::wasi::io::streams::StreamError;

use crate::url::Url;

/// Bytes that are read from a stream at once.
const PART: u64 = 64 * 1024;

/// A POST of JSON.
pub struct Post<'a> {
    /// Where to.
    pub url: &'a Url,
    /// Sent as `Authorization: Bearer` where it is not empty.
    pub token: &'a str,
    /// The JSON.
    pub body: &'a [u8],
    /// How long to wait to connect, for the answer's head, and between its parts, in nanoseconds.
    pub timeout: u64,
    /// Bytes of the answer that are read at most.
    pub limit: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The URL or a header is none that HTTP can carry.
    Unsendable(String),
    /// Nobody is reached, or the answer broke off or took too long; the request may have been taken all the same.
    Unreached(String),
    /// The answer is longer than what is read.
    TooLong(String),
}

impl Unanswered {
    /// What to write into the log.
    pub fn words(self) -> String {
        let (Self::Unsendable(words) | Self::Unreached(words) | Self::TooLong(words)) = self;
        words
    }
}

/// Status and body of the answer.
pub fn post(post: &Post) -> Result<(u16, Vec<u8>), Unanswered> {
    let origin = post.url.origin();
    let unreached = |why: &dyn Debug| Unanswered::Unreached(format!("{origin} gives no answer: {why:?}"));
    let request = OutgoingRequest::new(fields(post)?);
    let scheme = if post.url.https { Scheme::Https } else { Scheme::Http };
    let taken = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&post.url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&post.url.target)));
    taken.map_err(|()| Unanswered::Unsendable(format!("{origin} is no URL that HTTP can carry")))?;
    let options = RequestOptions::new();
    for set in [
        RequestOptions::set_connect_timeout,
        RequestOptions::set_first_byte_timeout,
        RequestOptions::set_between_bytes_timeout,
    ] {
        // A host that knows no such time-out keeps to its own.
        let _ = set(&options, Some(post.timeout));
    }
    let outgoing = request.body().map_err(|()| unreached(&"the request has no body"))?;
    let sent = outgoing_handler::handle(request, Some(options)).map_err(|error| unreached(&error))?;
    // A server may refuse before it has read everything: its answer counts, not the write that failed.
    let written = write(outgoing, post.body);
    sent.subscribe().block();
    let response = match sent.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => return Err(unreached(&error)),
        Some(Err(())) | None => return Err(unreached(&written.err())),
    };
    let status = response.status();
    let incoming = response.consume().map_err(|()| unreached(&"the answer has no body"))?;
    match read(&incoming, post.limit) {
        Ok(Some(body)) => Ok((status, body)),
        Ok(None) => Err(Unanswered::TooLong(format!("{origin} answers with more than {} bytes", post.limit))),
        Err(error) => Err(unreached(&error)),
    }
}

fn fields(post: &Post) -> Result<Fields, Unanswered> {
    let headers = Fields::new();
    let mut fields =
        vec![("content-type", "application/json".to_owned()), ("content-length", post.body.len().to_string())];
    if !post.token.is_empty() {
        fields.push(("authorization", format!("Bearer {}", post.token)));
    }
    for (name, value) in fields {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| Unanswered::Unsendable(format!("the header {name} can't be sent: {error}")))?;
    }
    Ok(headers)
}

fn write(outgoing: OutgoingBody, mut body: &[u8]) -> Result<(), StreamError> {
    let stream = outgoing.write().map_err(|()| StreamError::Closed)?;
    let ready = stream.subscribe();
    while !body.is_empty() {
        ready.block();
        let taken = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX).min(body.len());
        let (part, rest) = body.split_at(taken);
        stream.write(part)?;
        body = rest;
    }
    drop((ready, stream));
    OutgoingBody::finish(outgoing, None).map_err(|_| StreamError::Closed)
}

/// The body; none where it is longer than `limit`.
fn read(incoming: &IncomingBody, limit: usize) -> Result<Option<Vec<u8>>, StreamError> {
    let stream = incoming.stream().map_err(|()| StreamError::Closed)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(PART) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(StreamError::Closed) => return Ok(Some(bytes)),
            Err(error) => return Err(error),
        }
        if bytes.len() > limit {
            return Ok(None);
        }
    }
}
