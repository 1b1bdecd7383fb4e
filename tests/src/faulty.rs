//! A server that breaks SCIM in one chosen way: a proxy before a real one, which alters requests or answers.
//!
//! Without a fault it changes nothing. So what a check finds is the fault, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::client::{Client, Request, Response};

/// One way to break SCIM: each is a mistake that real servers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// Each request is answered after a while: somebody has time to interrupt a run.
    Slow,
    /// `filter` has no effect.
    FilterIgnored,
    /// `eq` finds what begins with the value.
    FilterByPrefix,
    /// 404 where a search finds nothing.
    NothingFoundIs404,
    /// An invalid filter finds nothing.
    InvalidFilterFindsNothing,
    /// `startIndex` counts from 0.
    StartIndexFromZero,
    /// `totalResults` counts the page.
    TotalOfPage,
    /// Numbers of lists are strings.
    NumbersAsStrings,
    /// Inactive users are in no list.
    InactiveHidden,
    /// A PATCH is acknowledged and not applied.
    PatchLost,
    /// A PATCH that fails leaves its first operation applied.
    PatchNotAtomic,
    /// `op` must be lower case.
    OperationCase,
    /// `"False"` and `"True"` are refused.
    BooleanStringsRefused,
    /// `remove` of `members` ignores `value`, and removes all.
    RemoveByValueClears,
    /// PATCH of a group's other attributes empties its members.
    PartialUpdateEmptiesMembers,
    /// No more than 100 members are shown.
    MembersTruncated,
    /// PUT is not there.
    NoPut,
    /// PUT without `active` suspends.
    PutSuspends,
    /// A duplicate is 200.
    DuplicateIs200,
    /// A conflict has no scimType.
    ConflictWithoutType,
    /// Errors are pages for people.
    HtmlErrors,
    /// `status` of errors is a number.
    StatusAsNumber,
    /// `application/scim+json` with a charset is refused.
    CharsetRefused,
    /// An empty User-Agent is refused, as firewalls do.
    UserAgentRequired,
    /// Locations show the host inside.
    InternalLocation,
    /// The password comes back.
    PasswordShown,
    /// The answer to a creation has the id alone.
    CreatedWithoutBody,
}

/// A running server with a fault.
pub struct Faulty {
    address: SocketAddr,
    created: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Faulty {
    /// Before the server at this address.
    pub fn start(upstream: SocketAddr, fault: Fault) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let created = Arc::new(AtomicUsize::new(0));
        let counter = created.clone();
        runtime.spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                let counter = counter.clone();
                let service = service_fn(move |request| answer(request, upstream, fault, counter.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, created, _runtime: runtime }
    }

    /// The SCIM base URL.
    pub fn url(&self) -> String {
        format!("http://{}/scim/v2", self.address)
    }

    /// How many creations have succeeded.
    pub fn created(&self) -> usize {
        self.created.load(Ordering::SeqCst)
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    upstream: SocketAddr,
    fault: Fault,
    created: Arc<AtomicUsize>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let mut forwarded = Request::new(head.method.as_str(), head.uri.to_string());
    for (name, value) in &head.headers {
        if name != "content-length" && name != "transfer-encoding" {
            forwarded = forwarded.header(name.as_str(), value.to_str().unwrap_or_default());
        }
    }
    forwarded.body = body.collect().await?.to_bytes().to_vec();
    let answered = tokio::task::spawn_blocking(move || play(fault, forwarded, &mut Client::new(upstream))).await;
    let answered = answered.expect("the proxy does not panic");
    if head.method == "POST" && answered.status == 201 {
        created.fetch_add(1, Ordering::SeqCst);
    }
    let mut response = hyper::Response::builder().status(answered.status);
    for (name, value) in &answered.headers {
        if name != "content-length" && name != "transfer-encoding" {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Full::new(Bytes::from(answered.body))).expect("upstream's answer is HTTP"))
}

fn play(fault: Fault, mut request: Request, upstream: &mut Client) -> Response {
    if let Some(refused) = before(fault, &mut request, upstream) {
        return refused;
    }
    let mut response = upstream.send(&request).expect("the real server answers");
    after(fault, &request, &mut response, upstream);
    response
}

/// Alters the request, or answers it.
fn before(fault: Fault, request: &mut Request, upstream: &mut Client) -> Option<Response> {
    let patch = request.method == "PATCH";
    let header = |name: &str| request.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
    match fault {
        Fault::Slow => std::thread::sleep(std::time::Duration::from_millis(20)),
        Fault::FilterIgnored => request.target = without_filter(&request.target),
        Fault::FilterByPrefix => {
            request.target = request.target.replace("userName%20eq%20%22", "userName%20sw%20%22");
            request.target = request.target.replace("userName+eq+%22", "userName+sw+%22");
        }
        Fault::StartIndexFromZero => {
            let (path, start) = request.target.split_once("startIndex=")?;
            let digits: String = start.chars().take_while(char::is_ascii_digit).collect();
            let next: u64 = digits.parse().ok()?;
            request.target = format!("{path}startIndex={}{}", next + 1, &start[digits.len()..]);
        }
        Fault::PatchLost if patch => return Some(response(204, &Value::Null)),
        Fault::PatchNotAtomic if patch => {
            let mut body: Value = serde_json::from_slice(&request.body).ok()?;
            let operations = body["Operations"].as_array()?.clone();
            let dry = request.clone().header("scimwell-dry-run", "true");
            let refused = upstream.send(&dry).ok()?.status == 400;
            if refused && operations.len() > 1 {
                body["Operations"] = json!([operations[0]]);
                let first = Request { body: body.to_string().into_bytes(), ..request.clone() };
                upstream.send(&first).ok()?;
            }
        }
        Fault::OperationCase if patch => {
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            let mut operations = body["Operations"].as_array()?.iter().filter_map(|operation| operation["op"].as_str());
            if operations.any(|op| op != op.to_ascii_lowercase()) {
                return Some(error(400, "op"));
            }
        }
        Fault::BooleanStringsRefused => {
            let body = String::from_utf8_lossy(&request.body).to_lowercase();
            if body.contains(":\"false\"") || body.contains(":\"true\"") {
                return Some(error(400, "not a boolean"));
            }
        }
        Fault::RemoveByValueClears if patch => {
            let mut body: Value = serde_json::from_slice(&request.body).ok()?;
            for operation in body["Operations"].as_array_mut()? {
                let removes = operation["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case("remove"));
                if let Some(operation) = operation.as_object_mut().filter(|_| removes) {
                    operation.remove("value");
                }
            }
            request.body = body.to_string().into_bytes();
        }
        Fault::PartialUpdateEmptiesMembers if patch && request.target.contains("/Groups/") => {
            let mut body: Value = serde_json::from_slice(&request.body).ok()?;
            let operations = body["Operations"].as_array_mut()?;
            if !operations
                .iter()
                .any(|operation| operation["path"].as_str().is_some_and(|path| path.starts_with("members")))
            {
                operations.push(json!({ "op": "remove", "path": "members" }));
            }
            request.body = body.to_string().into_bytes();
        }
        Fault::NoPut if request.method == "PUT" => return Some(error(405, "no PUT")),
        Fault::PutSuspends if request.method == "PUT" && request.target.contains("/Users/") => {
            let mut body: Value = serde_json::from_slice(&request.body).ok()?;
            if body["active"].is_null() {
                body["active"] = json!(false);
            }
            request.body = body.to_string().into_bytes();
        }
        Fault::CharsetRefused if header("content-type").contains("charset") => return Some(error(415, "no charset")),
        Fault::UserAgentRequired if header("user-agent").is_empty() => return Some(error(403, "who are you?")),
        _ => {}
    }
    None
}

/// Alters the answer.
fn after(fault: Fault, request: &Request, response: &mut Response, upstream: &mut Client) {
    let mut body = response.json();
    let is_list = body["totalResults"].is_u64();
    let filtered = request.method == "GET" && request.target.contains("filter=");
    match fault {
        Fault::NothingFoundIs404 if filtered && body["totalResults"] == 0 => *response = error(404, "nobody"),
        Fault::InvalidFilterFindsNothing if filtered && response.status == 400 => {
            let request = Request {
                target: request.target.split('?').next().unwrap_or_default().to_owned() + "?count=0",
                ..request.clone()
            };
            let mut empty = upstream.send(&request).expect("the real server answers").json();
            empty["totalResults"] = json!(0);
            *response = self::response(200, &empty);
        }
        Fault::StartIndexFromZero if is_list && request.target.contains("startIndex=") => {
            let start = body["startIndex"].as_u64().unwrap_or_default();
            body["startIndex"] = json!(start.saturating_sub(1));
            set(response, &body);
        }
        Fault::TotalOfPage if is_list => {
            body["totalResults"] = json!(body["Resources"].as_array().map_or(0, Vec::len));
            set(response, &body);
        }
        Fault::NumbersAsStrings if is_list => {
            body["totalResults"] = json!(body["totalResults"].to_string());
            set(response, &body);
        }
        Fault::InactiveHidden if is_list => {
            if let Some(resources) = body["Resources"].as_array_mut() {
                let all = resources.len();
                resources.retain(|resource| resource["active"] != false);
                let hidden = (all - resources.len()) as u64;
                body["totalResults"] = json!(body["totalResults"].as_u64().unwrap_or_default().saturating_sub(hidden));
            }
            set(response, &body);
        }
        Fault::MembersTruncated => {
            if let Some(members) = body["members"].as_array_mut().filter(|members| members.len() > 100) {
                members.truncate(100);
                set(response, &body);
            }
        }
        Fault::DuplicateIs200 if response.status == 409 => *response = self::response(200, &json!({})),
        Fault::ConflictWithoutType if response.status == 409 => {
            if let Some(members) = body.as_object_mut() {
                members.remove("scimType");
            }
            set(response, &body);
        }
        Fault::HtmlErrors if response.status >= 400 => {
            response.body = b"<html><h1>Oops</h1></html>".to_vec();
            response.headers.retain(|(name, _)| name != "content-type");
            response.headers.push(("content-type".to_owned(), "text/html".to_owned()));
        }
        Fault::StatusAsNumber if response.status >= 400 => {
            body["status"] = json!(response.status);
            set(response, &body);
        }
        Fault::InternalLocation => {
            for (_, value) in response.headers.iter_mut().filter(|(name, _)| name == "location") {
                *value = value.replacen("127.0.0.1", "backend.internal", 1);
            }
            if let Some(location) = body["meta"]["location"].as_str() {
                body["meta"]["location"] = json!(location.replacen("127.0.0.1", "backend.internal", 1));
                set(response, &body);
            }
        }
        Fault::PasswordShown if response.status == 201 => {
            let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            if sent["password"].is_string() {
                body["password"] = sent["password"].clone();
                set(response, &body);
            }
        }
        Fault::CreatedWithoutBody if response.status == 201 => {
            set(
                response,
                &json!({ "id": body["id"], "userName": body["userName"], "displayName": body["displayName"] }),
            );
        }
        _ => {}
    }
}

fn without_filter(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|parameter| !parameter.starts_with("filter=")).collect();
    format!("{path}?{}", kept.join("&"))
}

fn set(response: &mut Response, body: &Value) {
    response.body = body.to_string().into_bytes();
}

fn response(status: u16, body: &Value) -> Response {
    let headers = vec![("content-type".to_owned(), "application/scim+json".to_owned())];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Response { status, headers, body }
}

fn error(status: u16, detail: &str) -> Response {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"];
    response(status, &json!({ "schemas": schemas, "status": status.to_string(), "detail": detail }))
}
