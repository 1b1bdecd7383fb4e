//! One run against one server: sends and records requests, makes resources under names of its own, and removes them.
//!
//! Architecture invariant: the only resources written to are those in `made`, which come from answers to this run's own
//! creations and carry a name of this run.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::CheckError;
use super::catalogue::Provider;
use super::exchange::{Answer, Exchange, Failure, Made, Played, Request, Stop};
use super::wire::{Incoming, Outgoing, Wire, WireError};

/// What every name begins with, so that a person recognises left-overs.
pub(super) const MARK: &str = "scimcheck-";
/// How often a request that was throttled is sent again, as providers do.
const RETRIES: usize = 5;
/// The longest that a server may make a run wait at once.
const LONGEST_WAIT: u64 = 60;

/// One run.
pub(super) struct Session {
    runtime: Runtime,
    wire: Arc<Wire>,
    credentials: HeaderMap,
    interrupted: Arc<AtomicBool>,
    /// Whose headers the requests carry.
    provider: Provider,
    run: String,
    domain: String,
    /// The number of the check: names differ between checks.
    check: usize,
    /// What a provider waits for an answer at most.
    pub(super) patience: Duration,
    config: Option<Value>,
    made: Vec<Made>,
    /// Creations whose outcome is unknown: the name is looked for when cleaning up.
    pending: Vec<(&'static str, String)>,
    requests: usize,
}

/// What a session is made from.
pub(super) struct Setting<'a> {
    pub(super) url: &'a str,
    pub(super) credentials: HeaderMap,
    pub(super) domain: &'a str,
    pub(super) timeout: Duration,
    pub(super) patience: Duration,
}

impl Session {
    pub(super) fn new(setting: Setting<'_>) -> Result<Self, CheckError> {
        let wire = Arc::new(Wire::new(setting.url, setting.timeout)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(CheckError::System)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        listen(&runtime, interrupted.clone()).map_err(CheckError::System)?;
        Ok(Self {
            runtime,
            wire,
            credentials: setting.credentials,
            interrupted,
            provider: Provider::Rfc,
            run: random(10)?,
            domain: setting.domain.to_owned(),
            check: 0,
            patience: setting.patience,
            config: None,
            made: Vec::new(),
            pending: Vec::new(),
            requests: 0,
        })
    }

    /// What all names of this run begin with.
    pub(super) fn prefix(&self) -> String {
        format!("{MARK}{}", self.run)
    }

    /// Makes ready for the next check.
    pub(super) fn begin(&mut self, provider: Provider) {
        self.provider = provider;
        self.check += 1;
        self.requests = 0;
    }

    /// How many requests the check has made.
    pub(super) fn requests(&self) -> usize {
        self.requests
    }

    /// A name that nothing on the server has.
    pub(super) fn name(&self, label: &str) -> String {
        format!("{}-{}-{label}", self.prefix(), self.check)
    }

    /// The same as a userName.
    pub(super) fn mail(&self, label: &str) -> String {
        format!("{}@{}", self.name(label), self.domain)
    }

    /// A resource that nobody has made, under an id that nobody has given out.
    pub(super) fn nobody(&self, endpoint: &'static str) -> Result<Made, Stop> {
        let digits = random(32).map_err(|error| blocked(error.to_string(), None))?;
        // In the form of a UUID: some servers parse ids, and no server has 128 random bits twice.
        let hex: String = digits.bytes().map(|byte| char::from(b"0123456789abcdef"[usize::from(byte) % 16])).collect();
        let id = format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
        Ok(Made { endpoint, id, name: self.name("nobody") })
    }

    /// A user to begin with, as every server must take it (RFC 7643 §4.1).
    pub(super) fn user(&mut self, label: &str) -> Result<Made, Stop> {
        let body = plain_user(&self.mail(label));
        self.given("/Users", &body)
    }

    /// So many users.
    pub(super) fn users(&mut self, label: &str, count: usize) -> Result<Vec<Made>, Stop> {
        (0..count).map(|number| self.user(&format!("{label}{number:03}"))).collect()
    }

    /// A group to begin with.
    pub(super) fn group(&mut self, label: &str, members: &[&Made]) -> Result<Made, Stop> {
        let members: Vec<Value> = members.iter().map(|made| made.member()).collect();
        let mut body = json!({ "schemas": [GROUP], "displayName": self.name(label) });
        if !members.is_empty() {
            body["members"] = Value::Array(members);
        }
        self.given("/Groups", &body)
    }

    /// A resource to begin with: where it can't be made the check is blocked, not failed.
    pub(super) fn given(&mut self, endpoint: &'static str, body: &Value) -> Result<Made, Stop> {
        let answer = self.create(endpoint, body)?;
        self.created(&answer).map_err(|stop| match stop {
            Stop::Failed(failure) => Stop::Blocked(failure),
            other => other,
        })
    }

    /// Reads what is at the path.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer, Stop> {
        self.send(&Request::get(path))
    }

    /// Reads a resource.
    pub(super) fn read(&mut self, made: &Made) -> Result<Answer, Stop> {
        self.get(&made.path())
    }

    /// Looks for resources whose attribute equals the value.
    pub(super) fn find(&mut self, endpoint: &str, attribute: &str, value: &str) -> Result<Answer, Stop> {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.filter(endpoint, &format!("{attribute} eq \"{value}\""))
    }

    /// Looks for resources that match the filter.
    pub(super) fn filter(&mut self, endpoint: &str, filter: &str) -> Result<Answer, Stop> {
        self.get(&format!("{endpoint}?filter={}", crate::command::encoded(filter)))
    }

    /// Creates a resource.
    pub(super) fn create(&mut self, endpoint: &'static str, body: &Value) -> Result<Answer, Stop> {
        self.send(&Request::create(endpoint, body))
    }

    /// Replaces a resource.
    pub(super) fn put(&mut self, made: &Made, body: &Value) -> Result<Answer, Stop> {
        self.send(&Request::put(made, body))
    }

    /// Changes a resource by these operations.
    pub(super) fn patch(&mut self, made: &Made, operations: &Value) -> Result<Answer, Stop> {
        self.send(&Request::patch(made, operations))
    }

    /// Deletes a resource.
    pub(super) fn delete(&mut self, made: &Made) -> Result<Answer, Stop> {
        self.send(&Request::delete(made))
    }

    /// What was created: 201 with an id (RFC 7644 §3.3).
    pub(super) fn created(&self, answer: &Answer) -> Result<Made, Stop> {
        answer.status(&[201])?;
        let id = id_of(&answer.json).ok_or_else(|| answer.fail("expected an id in the answer to a creation"))?;
        let made = self.made.iter().find(|made| made.id == id);
        made.cloned().ok_or_else(|| answer.fail("expected the resource that was sent, found another one's name"))
    }

    /// The path below the base URL that this location leads to, if it leads back to the server.
    pub(super) fn below(&self, location: &str) -> Option<String> {
        let uri: http::Uri = location.parse().ok()?;
        let same = uri.authority().is_some_and(|authority| authority.as_str() == self.wire.authority());
        let path = uri.path().strip_prefix(self.wire.prefix()).filter(|path| path.starts_with('/'));
        path.filter(|_| same).map(str::to_owned)
    }

    /// Whether ServiceProviderConfig announces a feature: `bulk`, `sort`, `etag`. Skips the check where it doesn't.
    pub(super) fn needs(&mut self, feature: &str) -> Played {
        match self.config()?[feature]["supported"] == true {
            true => Ok(()),
            false => Err(Stop::Skipped(format!("ServiceProviderConfig does not announce {feature}"))),
        }
    }

    /// ServiceProviderConfig, read once.
    pub(super) fn config(&mut self) -> Result<Value, Stop> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let config = self.get("/ServiceProviderConfig")?.json;
        self.config = Some(config.clone());
        Ok(config)
    }

    /// One request; where the server throttles, again when it says so.
    pub(super) fn send(&mut self, request: &Request) -> Result<Answer, Stop> {
        for _ in 0..RETRIES {
            let answer = self.once(request)?;
            let wait = answer.header(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse::<u64>().ok());
            match wait.filter(|seconds| answer.code() == 429 && *seconds <= LONGEST_WAIT) {
                None => return Ok(answer),
                Some(seconds) => self.runtime.block_on(tokio::time::sleep(Duration::from_secs(seconds))),
            }
        }
        self.once(request)
    }

    /// One request, whatever comes of it.
    pub(super) fn once(&mut self, request: &Request) -> Result<Answer, Stop> {
        let mut answers = self.at_once(std::slice::from_ref(request))?;
        answers.pop().unwrap_or_else(|| Err(blocked("no request was sent".to_owned(), None)))
    }

    /// Requests side by side. Each that gets no answer is a failure of its own.
    pub(super) fn at_once(&mut self, requests: &[Request]) -> Result<Vec<Result<Answer, Stop>>, Stop> {
        // Looked at between requests only: what was sent is waited for, so that nothing is made without being known.
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Interrupted);
        }
        self.requests += requests.len();
        for (endpoint, name) in requests.iter().filter_map(|request| request.creates.as_ref()) {
            if !name.is_empty() {
                self.pending.push((endpoint, name.clone()));
            }
        }
        let outgoing: Vec<Outgoing> = requests.iter().map(|request| self.outgoing(request)).collect();
        let incoming = exchange_all(&self.runtime, &self.wire, &outgoing);
        let results = requests.iter().zip(outgoing).zip(incoming);
        Ok(results.map(|((request, outgoing), incoming)| self.recorded(request, &outgoing, incoming)).collect())
    }

    fn outgoing(&self, request: &Request) -> Outgoing {
        let mut headers = self.provider.headers(request.body.is_some());
        if request.authenticated {
            headers.extend(self.credentials.clone());
        }
        for (name, value) in &request.headers {
            headers.insert(name, value.clone());
        }
        let body = request.body.clone().unwrap_or_default();
        Outgoing { method: request.method.clone(), path: request.path.clone(), headers, body: Bytes::from(body) }
    }

    fn recorded(
        &mut self,
        request: &Request,
        outgoing: &Outgoing,
        incoming: Result<Incoming, WireError>,
    ) -> Result<Answer, Stop> {
        let mut exchange = Exchange {
            method: outgoing.method.to_string(),
            target: format!("{}{}", self.wire.prefix(), outgoing.path),
            request_headers: self.redacted(&outgoing.headers),
            request_body: self.hidden(&outgoing.body),
            ..Exchange::default()
        };
        let incoming = match incoming {
            Ok(incoming) => incoming,
            Err(error) => {
                if matches!(error, WireError::Connect(_) | WireError::Request(_)) {
                    self.settled(request);
                }
                return Err(blocked(error.to_string(), Some(exchange)));
            }
        };
        exchange.status = incoming.status;
        exchange.headers = self.redacted(&incoming.headers);
        exchange.body = self.hidden(&incoming.body);
        exchange.took = incoming.took;
        let json = serde_json::from_slice(&incoming.body).unwrap_or(Value::Null);
        let answer = Answer { exchange: Rc::new(exchange), json };
        self.take(request, &answer);
        Ok(answer)
    }

    /// Keeps what a creation has made. A resource counts as made only under the name that was sent: an id in a wrong answer
    /// could be anybody's.
    fn take(&mut self, request: &Request, answer: &Answer) {
        let Some((endpoint, name)) = &request.creates else { return };
        match answer.code() {
            200..300 => {
                let attribute = if *endpoint == "/Users" { "/userName" } else { "/displayName" };
                let same = answer.at(attribute).and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name));
                if let Some(id) = id_of(&answer.json).filter(|_| same && name.starts_with(&self.prefix())) {
                    let made = Made { endpoint, id, name: name.clone() };
                    if !self.made.contains(&made) {
                        self.made.push(made);
                    }
                    self.settled(request);
                }
            }
            400..500 => self.settled(request),
            // A failure of the server says nothing about whether it stored.
            _ => {}
        }
    }

    fn settled(&mut self, request: &Request) {
        let place = self.pending.iter().position(|pending| request.creates.as_ref() == Some(pending));
        if let Some(place) = place {
            self.pending.remove(place);
        }
    }

    /// Notes that a resource may have been made by other means than a creation of its own: by Bulk.
    pub(super) fn expect_made(&mut self, endpoint: &'static str, name: &str) {
        self.pending.push((endpoint, name.to_owned()));
    }

    /// Notes that an answer to a creation without a name has made this after all.
    pub(super) fn adopt(&mut self, endpoint: &'static str, id: Option<String>, name: &str) {
        if let Some(id) = id.filter(|_| name.starts_with(&self.prefix())) {
            self.made.push(Made { endpoint, id, name: name.to_owned() });
        }
    }

    /// Deletes what the check has made, groups first; what can't be deleted is returned, with why.
    pub(super) fn clean_up(&mut self) -> Vec<String> {
        self.provider = Provider::Rfc;
        let mut left = Vec::new();
        for (endpoint, name) in std::mem::take(&mut self.pending) {
            match self.lookup(endpoint, &name) {
                Ok(made) => self.made.extend(made),
                Err(reason) => left.push(format!("{endpoint} \"{name}\": {reason}")),
            }
        }
        let mut made = std::mem::take(&mut self.made);
        made.sort_by_key(|made| made.endpoint);
        for made in made {
            let outgoing = self.outgoing(&Request::delete(&made));
            let reason = match self.runtime.block_on(self.wire.exchange(&outgoing)) {
                Ok(Incoming { status: 200..300 | 404 | 410, .. }) => continue,
                Ok(incoming) => format!("DELETE answered {}", incoming.status),
                Err(error) => error.to_string(),
            };
            left.push(format!("{} \"{}\": {reason}", made.path(), made.name));
        }
        left
    }

    /// Resources of exactly this name, which was this run's own from the beginning.
    fn lookup(&self, endpoint: &'static str, name: &str) -> Result<Vec<Made>, String> {
        let attribute = if endpoint == "/Users" { "userName" } else { "displayName" };
        let filter = crate::command::encoded(&format!("{attribute} eq \"{name}\""));
        let outgoing = self.outgoing(&Request::get(format!("{endpoint}?filter={filter}")));
        let found = self.runtime.block_on(self.wire.exchange(&outgoing)).map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_slice(&found.body).unwrap_or(Value::Null);
        let resources = body["Resources"].as_array().into_iter().flatten();
        // Told apart here too: a server that ignores the filter shows everybody.
        let own = resources
            .filter(|resource| resource[attribute].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name)));
        Ok(own.filter_map(id_of).map(|id| Made { endpoint, id, name: name.to_owned() }).collect())
    }

    fn redacted(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let shown = headers.iter().map(|(name, value)| match self.credentials.contains_key(name) {
            true => (name.to_string(), "***".to_owned()),
            false => (name.to_string(), self.hidden(value.as_bytes())),
        });
        shown.collect()
    }

    /// Text without the credentials, which a server may echo.
    fn hidden(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for value in self.credentials.values().filter_map(|value| value.to_str().ok()) {
            let secret = value.split_once(' ').map_or(value, |(_scheme, secret)| secret);
            if !secret.is_empty() && text.contains(value) {
                text = text.replace(value, "***");
            }
            // Short ones are words: `T` is in everything.
            if secret.len() >= 6 {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The least that every server takes.
pub(super) fn plain_user(user_name: &str) -> Value {
    json!({
        "schemas": [USER],
        "userName": user_name,
        "name": { "givenName": "Ann", "familyName": "Lee" },
        "displayName": "Ann Lee",
        "emails": [{ "value": user_name, "type": "work", "primary": true }],
        "active": true,
    })
}

/// The User-Agent where none is known of the provider.
const AGENT: &str = concat!("scimwell-check/", env!("CARGO_PKG_VERSION"));

impl Provider {
    /// The headers of its requests, as far as they are known.
    fn headers(self, body: bool) -> HeaderMap {
        let (agent, accept, content) = match self {
            Self::Okta => ("Okta SCIM Client 1.0.0", "application/scim+json", "application/scim+json; charset=utf-8"),
            Self::Entra => (AGENT, "*/*", "application/scim+json; charset=utf-8"),
            // Its User-Agent is there, and empty.
            Self::OneLogin => ("", "application/scim+json", "application/scim+json"),
            Self::Ping | Self::JumpCloud | Self::Google | Self::Rfc => {
                (AGENT, "application/scim+json", "application/scim+json")
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if self == Self::Okta {
            headers.insert(HeaderName::from_static("accept-charset"), HeaderValue::from_static("utf-8"));
        }
        if body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        }
        headers
    }
}

fn exchange_all(runtime: &Runtime, wire: &Arc<Wire>, outgoing: &[Outgoing]) -> Vec<Result<Incoming, WireError>> {
    if let [one] = outgoing {
        return vec![runtime.block_on(wire.exchange(one))];
    }
    let sent = outgoing.iter().cloned().map(|outgoing| {
        let wire = wire.clone();
        runtime.spawn(async move { wire.exchange(&outgoing).await })
    });
    // All are under way before the first is waited for.
    let sent: Vec<_> = sent.collect();
    sent.into_iter()
        .map(|task| runtime.block_on(task).unwrap_or_else(|error| Err(WireError::Broken(error.to_string()))))
        .collect()
}

fn blocked(message: String, exchange: Option<Exchange>) -> Stop {
    Stop::Failed(Box::new(Failure { message, exchange: exchange.map(Rc::new), unreachable: true }))
}

/// An id; a number is none (RFC 7643 §3.1), but is understood, so that what depends on it can be looked at too.
fn id_of(resource: &Value) -> Option<String> {
    match &resource["id"] {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Letters and digits that nobody confuses; the first is a letter.
fn random(length: usize) -> Result<String, CheckError> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| CheckError::System(error.into()))?;
    let digits = b"abcdefghijkmnpqrstuvwxyz23456789";
    let text = bytes.iter().enumerate().map(|(place, byte)| match place {
        0 => char::from(digits[usize::from(*byte) % 24]),
        _ => char::from(digits[usize::from(*byte) % 32]),
    });
    Ok(text.collect())
}

/// From the first Ctrl-C or SIGTERM on no request is begun; the second ends the process where it is.
fn listen(runtime: &Runtime, interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    let _guard = runtime.enter();
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut stopped = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    runtime.spawn(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = terminated.recv() => {}
                _ = stopped.recv() => {}
            }
            #[cfg(not(unix))]
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            if interrupted.swap(true, Ordering::Relaxed) {
                std::process::exit(super::INTERRUPTED.into());
            }
            eprintln!("\nscimwell: stopping; what was made is being deleted (once more to leave it)");
        }
    });
    Ok(())
}
