//! What can go wrong with a request, and the one table that maps it to HTTP and SCIM (RFC 7644 §3.12, table 9).

use std::fmt;

/// The kind of a failure; decides status and `scimType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A filter that does not parse, or does not fit the schema.
    InvalidFilter,
    /// More results or work than the server is willing to give.
    TooMany,
    /// A unique value is taken.
    Uniqueness,
    /// The change and what is stored exclude each other.
    Conflict,
    /// A change to what may not change.
    Mutability,
    /// The body is not what the operation takes.
    InvalidSyntax,
    /// A PATCH path that does not parse, or names nothing in the schema.
    InvalidPath,
    /// A PATCH path whose value filter matches nothing.
    NoTarget,
    /// A value that is missing, of the wrong type or not allowed.
    InvalidValue,
    /// A cursor that this server didn't issue for this query (RFC 9865 §2.1).
    InvalidCursor,
    /// A cursor that was left lying for too long (RFC 9865 §2.1).
    ExpiredCursor,
    /// A page size that cursor paging doesn't take (RFC 9865 §2.1).
    InvalidCount,
    /// A URI carries what it must not.
    Sensitive,
    /// No credentials.
    Unauthorized,
    /// Credentials that do not hold (RFC 6750 §3.1).
    InvalidToken,
    /// The credentials do not permit this.
    Forbidden,
    /// No such resource or endpoint.
    NotFound,
    /// The endpoint does not offer the method; `allow` lists what it offers.
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// `If-Match` names another version.
    PreconditionFailed,
    /// The body is larger than the server takes.
    PayloadTooLarge,
    /// The body's media type is neither `application/scim+json` nor `application/json`.
    UnsupportedMediaType,
    /// Too many requests; try again in so many seconds.
    RateLimited(u32),
    /// The policy of the embedding application refused the change.
    Refused {
        /// From 400 to 499.
        status: u16,
        /// A `scimType`, where the policy gave one.
        scim_type: Option<String>,
    },
    /// A bug or a broken store.
    Internal,
    /// The server does not offer this feature.
    NotImplemented,
    /// Temporarily not possible; the client should repeat the request.
    Unavailable,
}

/// The values that `scimType` may have (RFC 7644 table 9).
pub const SCIM_TYPES: [&str; 10] = [
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
];

impl ErrorKind {
    /// The HTTP status and the `scimType` of this kind.
    pub fn table(&self) -> (u16, Option<&str>) {
        match self {
            Self::InvalidFilter => (400, Some("invalidFilter")),
            Self::TooMany => (400, Some("tooMany")),
            Self::Uniqueness => (409, Some("uniqueness")),
            Self::Conflict => (409, None),
            Self::Mutability => (400, Some("mutability")),
            Self::InvalidSyntax => (400, Some("invalidSyntax")),
            Self::InvalidPath => (400, Some("invalidPath")),
            Self::NoTarget => (400, Some("noTarget")),
            Self::InvalidValue => (400, Some("invalidValue")),
            Self::InvalidCursor => (400, Some("invalidCursor")),
            Self::ExpiredCursor => (400, Some("expiredCursor")),
            Self::InvalidCount => (400, Some("invalidCount")),
            Self::Sensitive => (400, Some("sensitive")),
            Self::Unauthorized | Self::InvalidToken => (401, None),
            Self::Forbidden => (403, None),
            Self::NotFound => (404, None),
            Self::MethodNotAllowed { .. } => (405, None),
            Self::PreconditionFailed => (412, None),
            Self::PayloadTooLarge => (413, None),
            Self::UnsupportedMediaType => (415, None),
            Self::RateLimited(_) => (429, None),
            Self::Refused { status, scim_type } => (*status, scim_type.as_deref()),
            Self::Internal => (500, None),
            Self::NotImplemented => (501, None),
            Self::Unavailable => (503, None),
        }
    }
}

/// A failed request. `detail` goes to the client and names the attribute, the place and the remedy; `log` never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimError {
    /// Decides status and `scimType`.
    pub kind: ErrorKind,
    /// For the identity provider's administrator.
    pub detail: String,
    /// For the operator only.
    pub log: Option<String>,
}

impl ScimError {
    /// An error that says `detail` to the client.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), log: None }
    }

    /// The same error with the operator's side of the story.
    #[must_use]
    pub fn with_log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The same error with `place` put before its detail: `Operations[2]: …`.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }
}

impl fmt::Display for ScimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)?;
        match &self.log {
            Some(log) => write!(f, " ({log})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScimError {}

/// The start of what a client sent, for an error's detail: enough to find it again, never the whole of a long text.
pub fn excerpt(text: impl fmt::Display) -> String {
    const SHOWN: usize = 80;
    let text = text.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the operations return.
pub type Result<T, E = ScimError> = std::result::Result<T, E>;
