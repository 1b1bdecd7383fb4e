//! Bearer tokens: those kept in storage, and the one given on the command line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
use crate::error::{Error, Result};
use crate::storage::{Check, KeyRange, Mutation, Outcome, ScanOptions, Storage};
use crate::tenants::{self, HOST_SPACE};

/// What a token starts with, so that scanners for leaked secrets can tell one.
const PREFIX: &str = "scimwell_";
/// Where token records are, by the SHA-256 of the token.
const KEYS: &[u8] = b"token/";
/// The first key beyond them.
const KEYS_END: &[u8] = b"token0";

/// What storage keeps of a token: anything but the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name in the log; not secret.
    pub id: String,
    /// The tenant that it lets into.
    pub tenant: String,
    /// What it is for, in its owner's words.
    pub label: String,
    /// What it allows.
    pub permissions: Permissions,
    /// When it was issued: seconds since 1970.
    pub created: u64,
    /// When it ceases to hold: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Issues a token and returns it; nobody can read it again.
pub async fn issue(
    storage: &dyn Storage,
    tenant: &str,
    label: &str,
    permissions: Permissions,
    expires: Option<u64>,
) -> Result<String> {
    if !tenants::is_valid(tenant) {
        return Err(Error::TenantName(tenant.to_owned()));
    }
    let token = generate()?;
    let mut id = [0; 6];
    getrandom::fill(&mut id).map_err(Error::Random)?;
    let record = Token {
        id: format!("tok_{}", hex(&id)),
        tenant: tenant.to_owned(),
        label: label.to_owned(),
        permissions,
        created: now(),
        expires,
    };
    let key = key(&token);
    let value = serde_json::to_vec(&record).map_err(|source| Error::Record { key: record.id.clone(), source })?;
    let absent = Check { key: key.clone(), expected: None };
    match storage.commit(HOST_SPACE, vec![absent], vec![Mutation::Put(key, value)]).await? {
        Outcome::Committed => Ok(token),
        // 256 random bits met twice: the machine's randomness is none.
        Outcome::Conflict => Err(Error::Random(getrandom::Error::UNEXPECTED)),
    }
}

/// Whether any token was ever issued.
pub async fn any(storage: &dyn Storage) -> Result<bool> {
    let range = KeyRange { start: KEYS.to_vec(), end: KEYS_END.to_vec() };
    let options = ScanOptions { keys_only: true, limit: 1, ..ScanOptions::default() };
    Ok(!storage.scan(HOST_SPACE, &range, options).await?.is_empty())
}

/// A new token of 256 random bits.
pub fn generate() -> Result<String> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(Error::Random)?;
    Ok(format!("{PREFIX}{}", hex(&secret)))
}

/// Accepts the tokens that storage knows.
pub struct StoredTokens {
    storage: Arc<dyn Storage>,
}

impl StoredTokens {
    /// The tokens of this storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }
}

#[async_trait]
impl Authenticator for StoredTokens {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        let token = bearer(credentials.authorization.as_deref()).ok_or(AuthError::Unauthenticated)?;
        // The look-up is by hash, so its timing says nothing about a token that was not guessed already.
        let key = key(token);
        let found = self.storage.get(HOST_SPACE, &[key]).await;
        let found = found.map_err(|error| AuthError::Unavailable(error.to_string()))?;
        let record = found.into_iter().next().flatten().ok_or(AuthError::Unauthenticated)?;
        let token: Token = serde_json::from_slice(&record)
            .map_err(|error| AuthError::Unavailable(format!("a token's record is damaged: {error}")))?;
        if token.expires.is_some_and(|expires| expires <= now()) {
            return Err(AuthError::Unauthenticated);
        }
        if credentials.tenant_hint.is_some_and(|tenant| tenant != token.tenant) {
            return Err(AuthError::Forbidden);
        }
        Ok(Principal { tenant: token.tenant, subject: token.id, permissions: token.permissions })
    }
}

/// Accepts one token, for one tenant, with all permissions.
pub struct StaticToken {
    digest: [u8; 32],
    tenant: String,
}

impl StaticToken {
    /// Accepts `token` for `tenant`.
    pub fn new(token: &str, tenant: &str) -> Self {
        Self { digest: digest(token), tenant: tenant.to_owned() }
    }

    fn accepts(&self, credentials: &Credentials) -> bool {
        bearer(credentials.authorization.as_deref()).is_some_and(|token| same(&digest(token), &self.digest))
    }
}

#[async_trait]
impl Authenticator for StaticToken {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        if !self.accepts(&credentials) {
            return Err(AuthError::Unauthenticated);
        }
        if credentials.tenant_hint.is_some_and(|tenant| tenant != self.tenant) {
            return Err(AuthError::Forbidden);
        }
        Ok(command_line(self.tenant.clone()))
    }
}

/// Accepts one token for whichever tenant the URL names, and creates that tenant: for trying things out.
pub struct DevToken {
    token: StaticToken,
    storage: Arc<dyn Storage>,
}

impl DevToken {
    /// Accepts `token` for every tenant, and for `default` where the URL names none.
    pub fn new(token: &str, storage: Arc<dyn Storage>) -> Self {
        Self { token: StaticToken::new(token, "default"), storage }
    }
}

#[async_trait]
impl Authenticator for DevToken {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        if !self.token.accepts(&credentials) {
            return Err(AuthError::Unauthenticated);
        }
        let tenant = credentials.tenant_hint.unwrap_or_else(|| self.token.tenant.clone());
        match tenants::create(&*self.storage, &tenant).await {
            Ok(_created) => Ok(command_line(tenant)),
            Err(Error::TenantName(_)) => Err(AuthError::Forbidden),
            Err(error) => Err(AuthError::Unavailable(error.to_string())),
        }
    }
}

/// Asks the first, and the second where the first does not know the credentials.
pub struct Either<A, B>(pub A, pub B);

#[async_trait]
impl<A: Authenticator, B: Authenticator> Authenticator for Either<A, B> {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        match self.0.authenticate(credentials.clone()).await {
            Err(AuthError::Unauthenticated) => self.1.authenticate(credentials).await,
            decided => decided,
        }
    }
}

fn command_line(tenant: String) -> Principal {
    Principal { tenant, subject: "command-line".to_owned(), permissions: Permissions::ALL }
}

/// The token of an Authorization header: the scheme in any case (RFC 9110 §11.1).
fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Compares without stopping at the first difference.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn key(token: &str) -> Vec<u8> {
    [KEYS, &digest(token)].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    fn credentials(authorization: &str, tenant: Option<&str>) -> Credentials {
        Credentials {
            authorization: Some(authorization.to_owned()),
            tenant_hint: tenant.map(str::to_owned),
            ..Credentials::default()
        }
    }

    #[track_caller]
    fn check_bearer(authorization: &str, expect: Option<&str>) {
        assert_eq!(bearer(Some(authorization)), expect);
    }

    #[test]
    fn authorization_headers() {
        check_bearer("Bearer abc", Some("abc"));
        check_bearer("bEARER   abc ", Some("abc"));
        check_bearer("Bearer", None);
        check_bearer("Bearer ", None);
        check_bearer("Basic abc", None);
        check_bearer("abc", None);
        check_bearer("", None);
    }

    #[tokio::test]
    async fn stored() {
        let storage = Arc::new(Memory::new());
        assert!(!any(&*storage).await.unwrap());
        let token = issue(&*storage, "acme", "Okta", Permissions::ALL, None).await.unwrap();
        assert!(any(&*storage).await.unwrap());
        let tokens = StoredTokens::new(storage.clone());
        let ask = async |authorization: &str, tenant| {
            tokens.authenticate(credentials(authorization, tenant)).await.map(|principal| principal.tenant)
        };
        let bearer = format!("Bearer {token}");
        assert_eq!(ask(&bearer, None).await, Ok("acme".to_owned()));
        assert_eq!(ask(&bearer, Some("acme")).await, Ok("acme".to_owned()));
        assert_eq!(ask(&bearer, Some("other")).await, Err(AuthError::Forbidden));
        assert_eq!(ask(&format!("{bearer}x"), None).await, Err(AuthError::Unauthenticated));
        assert_eq!(ask(&token, None).await, Err(AuthError::Unauthenticated));
    }

    #[tokio::test]
    async fn stored_without_the_secret() {
        let storage = Memory::new();
        let token = issue(&storage, "acme", "Okta", Permissions::ALL, None).await.unwrap();
        let range = KeyRange { start: KEYS.to_vec(), end: KEYS_END.to_vec() };
        let entries =
            storage.scan(HOST_SPACE, &range, ScanOptions { limit: 9, ..ScanOptions::default() }).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert!(!String::from_utf8_lossy(&entries[0].value).contains(&token[PREFIX.len()..]));
    }

    #[tokio::test]
    async fn expired() {
        let storage = Arc::new(Memory::new());
        let tokens = StoredTokens::new(storage.clone());
        for (expires, holds) in [(now() - 1, false), (now() + 3600, true)] {
            let token = issue(&*storage, "acme", "", Permissions::ALL, Some(expires)).await.unwrap();
            assert_eq!(tokens.authenticate(credentials(&format!("Bearer {token}"), None)).await.is_ok(), holds);
        }
    }

    #[tokio::test]
    async fn given() {
        let token = StaticToken::new("T", "default");
        let ask = async |authorization, tenant| {
            token.authenticate(credentials(authorization, tenant)).await.map(|principal| principal.tenant)
        };
        assert_eq!(ask("Bearer T", None).await, Ok("default".to_owned()));
        assert_eq!(ask("Bearer T", Some("default")).await, Ok("default".to_owned()));
        assert_eq!(ask("Bearer T", Some("acme")).await, Err(AuthError::Forbidden));
        assert_eq!(ask("Bearer t", None).await, Err(AuthError::Unauthenticated));
    }

    #[tokio::test]
    async fn dev_creates_tenants() {
        let storage = Arc::new(Memory::new());
        let token = DevToken::new("T", storage.clone());
        let principal = token.authenticate(credentials("Bearer T", Some("acme"))).await.unwrap();
        assert_eq!(principal.tenant, "acme");
        assert!(tenants::exists(&*storage, "acme").await.unwrap());
        assert_eq!(token.authenticate(credentials("Bearer U", Some("b"))).await, Err(AuthError::Unauthenticated));
        assert!(!tenants::exists(&*storage, "b").await.unwrap());
    }

    #[tokio::test]
    async fn either() {
        let both = Either(StaticToken::new("A", "default"), StaticToken::new("B", "acme"));
        let ask = async |authorization| both.authenticate(credentials(authorization, None)).await;
        assert_eq!(ask("Bearer A").await.map(|principal| principal.tenant), Ok("default".to_owned()));
        assert_eq!(ask("Bearer B").await.map(|principal| principal.tenant), Ok("acme".to_owned()));
        assert_eq!(ask("Bearer C").await, Err(AuthError::Unauthenticated));
    }
}
