//! The protocol core without WebAssembly: what the component's answers and speed are held against.

use std::time::{SystemTime, UNIX_EPOCH};

use scimwell_guest::Host;
use scimwell_guest::host::{AuthError, Change, Credentials, Permissions, Principal, Refusal};
use scimwell_guest::http as core;
use scimwell_guest::store::{Store, StoreError};

use crate::client::{Request, Response};
use crate::server::TOKEN;

/// A host of one tenant: [`TOKEN`] may do everything, every change is let through.
#[derive(Clone, Debug)]
pub struct Native<S> {
    /// The tenant's name.
    pub tenant: String,
    /// Its store.
    pub store: S,
}

impl<S: Store + Clone> Host for Native<S> {
    type Store = S;

    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        let authorization = credentials.authorization.as_deref().unwrap_or_default();
        match authorization.split_once(' ') {
            Some((scheme, TOKEN)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Principal {
                tenant: self.tenant.clone(),
                // As `serve --token` has it, so that logs and `/Me` are alike.
                subject: "command-line".to_owned(),
                permissions: Permissions { read: true, write: true, admin: true },
            }),
            _ => Err(AuthError::Unauthenticated),
        }
    }

    fn open(&self, _tenant: &str) -> Result<S, StoreError> {
        Ok(self.store.clone())
    }

    fn review(&self, _change: &Change) -> Result<(), Refusal> {
        Ok(())
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        u64::try_from(now.as_millis()).expect("milliseconds fit 64 bits")
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        bytes
    }
}

impl<S: Store + Clone> Native<S> {
    /// Answer one request whose target is relative to `base`.
    pub fn send(&self, request: &Request, base: &str) -> Response {
        let headers =
            request.headers.iter().map(|(name, value)| core::Header::new(name.to_ascii_lowercase(), value.trim()));
        let request = core::Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: headers.collect(),
            body: request.body.clone(),
            base_url: base.to_owned(),
            tenant_hint: Some(self.tenant.clone()),
            ..core::Request::default()
        };
        let response = scimwell_guest::handle(self, &request);
        Response {
            status: response.status,
            headers: response.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: response.body,
        }
    }
}
