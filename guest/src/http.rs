//! Requests and responses as plain values: what the component's shells convert from and to.

/// A header field. Names are lower case on the way in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Lower case.
    pub name: String,
    /// The field's value, without surrounding white space.
    pub value: String,
}

impl Header {
    /// A header field from its two parts.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One HTTP request, as the host received it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as received, below the SCIM base path: `/Users?filter=…`.
    pub target: String,
    /// In the order received.
    pub headers: Vec<Header>,
    /// The whole body; empty where there is none.
    pub body: Vec<u8>,
    /// The public base URL without a trailing slash: `https://example.com/scim/v2`.
    pub base_url: String,
    /// The subject of the verified TLS client certificate.
    pub client_certificate_subject: Option<String>,
    /// The tenant that the URL names, where it names one.
    pub tenant_hint: Option<String>,
    /// The client's address, where the host knows it.
    pub remote_address: Option<String>,
}

impl Request {
    /// The value of the first header field called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }
}

/// One HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<Header>,
    /// The whole body; empty where there is none.
    pub body: Vec<u8>,
    /// What the operator's log should say of a failure and the client should not read.
    pub log: Option<String>,
}
