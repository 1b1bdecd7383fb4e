//! World `scimwell:service/service`: for Spin, `wasmtime serve` and other wasi:http hosts.

use scimwell_guest::http::{Request, Response};
use scimwell_guest::{component, service};

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: ["../wit", "../wit/service"],
        world: "scimwell:service/service",
        generate_all,
        with: {
            "scimwell:provider/storage@0.1.0": scimwell_guest::component::storage,
            "scimwell:provider/authenticator@0.1.0": scimwell_guest::component::authenticator,
            "scimwell:provider/policy@0.1.0": scimwell_guest::component::policy,
        },
        export_macro_name: "export",
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::scimwell::provider::settings;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam, Scheme,
};
use bindings::wasi::io::streams::{OutputStream, StreamError};

/// Bytes taken from or given to a stream at once: what `blocking-write-and-flush` takes at most.
const CHUNK: usize = 4096;

struct Service;

impl Guest for Service {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let response = match read(&request) {
            Ok(request) => match service::split(request, settings::base_url().as_deref()) {
                Ok(request) => component::handle(&request),
                Err(response) => response,
            },
            Err(response) => response,
        };
        write(response, out);
    }
}

/// The request with its whole target, or the answer to one that can't be read.
fn read(request: &IncomingRequest) -> Result<Request, Response> {
    let method = match request.method() {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(method) => method,
    };
    let headers: Vec<_> =
        request.headers().entries().into_iter().map(|(name, value)| component::header(&name, value)).collect();
    let scheme = match request.scheme() {
        Some(Scheme::Http) => "http".to_owned(),
        Some(Scheme::Other(scheme)) => scheme,
        Some(Scheme::Https) | None => "https".to_owned(),
    };
    let authority = request.authority().unwrap_or_default();
    Ok(Request {
        method,
        target: request.path_with_query().unwrap_or_default(),
        headers,
        body: read_body(request)?,
        base_url: format!("{scheme}://{authority}"),
        ..Request::default()
    })
}

fn read_body(request: &IncomingRequest) -> Result<Vec<u8>, Response> {
    let Ok(body) = request.consume() else { return Ok(Vec::new()) };
    let Ok(stream) = body.stream() else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(service::broken_body()),
        }
        if bytes.len() > service::MAX_BODY {
            return Err(service::body_too_large());
        }
    }
}

fn write(response: Response, out: ResponseOutparam) {
    let headers = Fields::new();
    let length = response.body.len();
    let fields = response.headers.into_iter().map(|h| (h.name, h.value));
    for (name, value) in fields.chain([("content-length".to_owned(), length.to_string())]) {
        // A name or value that HTTP can't carry is left out rather than failing the response.
        let _ = headers.append(&name, value.as_bytes());
    }
    let outgoing = OutgoingResponse::new(headers);
    let (Ok(()), Ok(body)) = (outgoing.set_status_code(response.status), outgoing.body()) else {
        ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
        return;
    };
    let Ok(stream) = body.write() else {
        ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
        return;
    };
    // What the host buffers at once is written before the response is handed over, so that headers and body leave
    // together: hosts without TCP_NODELAY would otherwise keep each small response back for some 40 ms. A host counts
    // writes rather than bytes, so there is one; a second might wait for a reader who does not know of the response yet.
    let fits = stream.check_write().is_ok_and(|permit| permit >= length as u64);
    if fits && stream.write(&response.body).is_ok() {
        finish(stream, body);
        ResponseOutparam::set(out, Ok(outgoing));
    } else {
        ResponseOutparam::set(out, Ok(outgoing));
        // The client may have gone by now, which is its own affair: the request was carried out.
        let _ = response.body.chunks(CHUNK).try_for_each(|chunk| stream.blocking_write_and_flush(chunk));
        finish(stream, body);
    }
}

fn finish(stream: OutputStream, body: OutgoingBody) {
    // The stream is a child of the body.
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Service with_types_in bindings);
