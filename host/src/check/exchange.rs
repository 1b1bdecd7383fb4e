//! Requests as checks write them, and what came of them as reports show it.

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

/// The URN of a PATCH body (RFC 7644 §3.5.2).
pub(super) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A resource that this run made. Only `Session` makes these, from answers to its own creations: there is no other way to a
/// PUT, PATCH or DELETE, so that no check can write to a resource that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// `/Users` or `/Groups`.
    pub(super) endpoint: &'static str,
    pub(super) id: String,
    /// Its userName or displayName.
    pub(super) name: String,
}

impl Made {
    /// Its path below the SCIM base.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.endpoint, crate::command::encoded(&self.id))
    }

    /// It as a member of a group.
    pub(super) fn member(&self) -> Value {
        json!({ "value": self.id })
    }
}

/// A request of a check.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
    /// Whether the credentials go with it.
    pub(super) authenticated: bool,
    /// Where it creates something, and by which name.
    pub(super) creates: Option<(&'static str, String)>,
}

impl Request {
    fn new(method: Method, path: impl Into<String>) -> Self {
        let (path, headers) = (path.into(), HeaderMap::new());
        Self { method, path, headers, body: None, authenticated: true, creates: None }
    }

    /// Reads what is at the path.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Creates a resource; its userName or displayName must be one of this run's names.
    pub(super) fn create(endpoint: &'static str, body: &Value) -> Self {
        let attribute = if endpoint == "/Users" { "userName" } else { "displayName" };
        let name = body[attribute].as_str().unwrap_or_default().to_owned();
        Self { creates: Some((endpoint, name)), ..Self::new(Method::POST, endpoint) }.json(body)
    }

    /// A search by POST (RFC 7644 §3.4.3) at this endpoint.
    pub(super) fn search(endpoint: &str, body: &Value) -> Self {
        Self::new(Method::POST, format!("{endpoint}/.search")).json(body)
    }

    /// A Bulk (RFC 7644 §3.7).
    pub(super) fn bulk(operations: &Value) -> Self {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
        Self::new(Method::POST, "/Bulk").json(&json!({ "schemas": schemas, "Operations": operations }))
    }

    /// Replaces a resource.
    pub(super) fn put(made: &Made, body: &Value) -> Self {
        Self::new(Method::PUT, made.path()).json(body)
    }

    /// Changes a resource by these operations.
    pub(super) fn patch(made: &Made, operations: &Value) -> Self {
        Self::new(Method::PATCH, made.path()).json(&json!({ "schemas": [PATCH_OP], "Operations": operations }))
    }

    /// Deletes a resource.
    pub(super) fn delete(made: &Made) -> Self {
        Self::new(Method::DELETE, made.path())
    }

    /// A method that a resource doesn't have.
    pub(super) fn post_to(made: &Made, body: &Value) -> Self {
        Self::new(Method::POST, made.path()).json(body)
    }

    fn json(self, body: &Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }

    /// With these bytes as its body.
    pub(super) fn text(self, body: &str) -> Self {
        Self { body: Some(body.to_owned()), ..self }
    }

    /// With this header, in place of the provider's.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// With more at the end of its path.
    pub(super) fn suffix(mut self, more: &str) -> Self {
        self.path.push_str(more);
        self
    }

    /// With more at the beginning of its path.
    pub(super) fn prefix(mut self, more: &str) -> Self {
        self.path.insert_str(0, more);
        self
    }

    /// Without credentials.
    pub(super) fn anonymous(self) -> Self {
        Self { authenticated: false, ..self }
    }
}

/// A request and what came of it. Credentials are redacted before they get here.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    pub(super) method: String,
    /// The path with what the base URL puts before it.
    pub(super) target: String,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) request_body: String,
    /// 0 where there was no answer.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) took: Duration,
}

/// An answer, and the exchange that it ended. The assertions are in `expect`.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) exchange: Rc<Exchange>,
    /// The body; null where it is none, or no JSON.
    pub(super) json: Value,
}

impl Answer {
    pub(super) fn code(&self) -> u16 {
        self.exchange.status
    }

    /// The value of a header, its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.exchange.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Why a check ended early.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// The server did otherwise than the provider needs.
    Failed(Box<Failure>),
    /// What the check begins with could not be made.
    Blocked(Box<Failure>),
    /// It does not apply to this server: why.
    Skipped(String),
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// What was wrong, and in which exchange.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) exchange: Option<Rc<Exchange>>,
    /// Whether there was no answer at all.
    pub(super) unreachable: bool,
}

impl Stop {
    /// A failure that this exchange shows.
    pub(super) fn failed(message: impl Into<String>, exchange: &Rc<Exchange>) -> Self {
        let failure = Failure { message: message.into(), exchange: Some(exchange.clone()), unreachable: false };
        Self::Failed(Box::new(failure))
    }
}

/// How a check ended.
pub(super) type Played = Result<(), Stop>;
