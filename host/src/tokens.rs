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
/// Bytes of a token's id at most.
const MAX_ID: usize = 64;
/// By a token's id: the SHA-256 that its record is at.
const BY_ID: &str = "token-by-id/";
/// By `<tenant>/<id>`: the same.
const BY_TENANT: &str = "token-by-tenant/";
/// The first key beyond them.
const BY_TENANT_END: &str = "token-by-tenant0";

/// Seconds for which a token holds unless told otherwise: bearer tokens have a limited lifetime (RFC 7644 §7.4), and an
/// identity provider's is entered by hand.
pub const LIFETIME: u64 = 365 * 24 * 3600;

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

impl Token {
    /// Whether it has ceased to hold.
    pub fn has_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= now())
    }
}

/// A token just issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token itself; nobody can read it again.
    pub secret: String,
    /// What storage keeps of it.
    pub token: Token,
}

/// Issues a token that holds until `expires`, in seconds since 1970, or for ever.
pub async fn issue(
    storage: &dyn Storage,
    tenant: &str,
    label: &str,
    permissions: Permissions,
    expires: Option<u64>,
) -> Result<Issued> {
    if !tenants::is_valid(tenant) {
        return Err(Error::TenantName(tenant.to_owned()));
    }
    let secret = generate()?;
    let mut id = [0; 6];
    getrandom::fill(&mut id).map_err(Error::Random)?;
    let token = Token {
        id: format!("tok_{}", hex(&id)),
        tenant: tenant.to_owned(),
        label: label.to_owned(),
        permissions,
        created: now(),
        expires,
    };
    let hash = digest(&secret).to_vec();
    let record = serde_json::to_vec(&token).map_err(|source| Error::Record { key: token.id.clone(), source })?;
    let [by_hash, by_id, by_tenant] = keys(&token, &hash);
    let absent = [&by_hash, &by_id].map(|key| Check { key: key.clone(), expected: None });
    let puts = vec![Mutation::Put(by_hash, record), Mutation::Put(by_id, hash.clone()), Mutation::Put(by_tenant, hash)];
    match storage.commit(HOST_SPACE, absent.to_vec(), puts).await? {
        Outcome::Committed => Ok(Issued { secret, token }),
        // Random bits met twice: the machine's randomness is none.
        Outcome::Conflict => Err(Error::Random(getrandom::Error::UNEXPECTED)),
    }
}

/// Some of the tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The tokens, by tenant and id.
    pub tokens: Vec<Token>,
    /// Where the next page starts, if there may be one: an `after` for [`list`].
    pub next: Option<String>,
}

/// The tokens of one tenant or of all, at most `limit` of them, from where the page before ended.
pub async fn list(storage: &dyn Storage, tenant: Option<&str>, after: Option<&str>, limit: u32) -> Result<Page> {
    let (first, end) = match tenant {
        // No name holds a `/`, and `0` is the character after it.
        Some(tenant) => (format!("{BY_TENANT}{tenant}/"), format!("{BY_TENANT}{tenant}0")),
        None => (BY_TENANT.to_owned(), BY_TENANT_END.to_owned()),
    };
    let start = after.map_or_else(|| first.clone(), |place| first.clone().max(format!("{BY_TENANT}{place}\0")));
    let range = KeyRange { start: start.into_bytes(), end: end.into_bytes() };
    let entries = storage.scan(HOST_SPACE, &range, ScanOptions { limit, ..ScanOptions::default() }).await?;
    let hashes: Vec<_> = entries.iter().map(|entry| [KEYS, &entry.value].concat()).collect();
    // One revoked between the two reads is absent.
    let records = storage.get(HOST_SPACE, &hashes).await?;
    let tokens = records.iter().flatten().map(|record| decode(record)).collect::<Result<_>>()?;
    let last = entries.last().filter(|_| entries.len() == limit as usize);
    let next = last.map(|entry| String::from_utf8_lossy(entry.key.get(BY_TENANT.len()..).unwrap_or_default()).into());
    Ok(Page { tokens, next })
}

/// The token of this id.
pub async fn find(storage: &dyn Storage, id: &str) -> Result<Option<Token>> {
    Ok(look_up(storage, id).await?.map(|(token, _, _)| token))
}

/// Revokes the token of this id: it lets nobody in any more. `None` where there is no such token.
pub async fn revoke(storage: &dyn Storage, id: &str) -> Result<Option<Token>> {
    let Some((token, hash, record)) = look_up(storage, id).await? else { return Ok(None) };
    let keys = keys(&token, &hash);
    let unchanged = Check { key: keys[0].clone(), expected: Some(record) };
    let deletes = keys.into_iter().map(Mutation::Delete).collect();
    // Records never change, so a lost race is one to another revocation.
    let outcome = storage.commit(HOST_SPACE, vec![unchanged], deletes).await?;
    Ok((outcome == Outcome::Committed).then_some(token))
}

/// The token of this id, the hash that its record is at, and the record.
async fn look_up(storage: &dyn Storage, id: &str) -> Result<Option<(Token, Vec<u8>, Vec<u8>)>> {
    // Longer ones were never issued, and a key has its limit.
    if id.len() > MAX_ID {
        return Ok(None);
    }
    let by_id = format!("{BY_ID}{id}").into_bytes();
    let Some(hash) = storage.get(HOST_SPACE, &[by_id]).await?.into_iter().next().flatten() else { return Ok(None) };
    let record = storage.get(HOST_SPACE, &[[KEYS, &hash].concat()]).await?.into_iter().next().flatten();
    let Some(record) = record else { return Ok(None) };
    Ok(Some((decode(&record)?, hash, record)))
}

/// Where a token's record is, and the entries that lead to it.
fn keys(token: &Token, hash: &[u8]) -> [Vec<u8>; 3] {
    let by_id = format!("{BY_ID}{}", token.id).into_bytes();
    let by_tenant = format!("{BY_TENANT}{}/{}", token.tenant, token.id).into_bytes();
    [[KEYS, hash].concat(), by_id, by_tenant]
}

fn decode(record: &[u8]) -> Result<Token> {
    serde_json::from_slice(record).map_err(|source| Error::Record { key: "token/".to_owned(), source })
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
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use std::sync::Arc;
/// use scimwell::authenticator::{AuthError, Authenticator, Credentials, Permissions};
/// use scimwell::storage::{Memory, Storage};
/// use scimwell::tokens::{self, StoredTokens};
///
/// let storage: Arc<dyn Storage> = Arc::new(Memory::new());
/// let issued = tokens::issue(&*storage, "acme", "Okta", Permissions::READ_WRITE, None).await?;
/// let stored = StoredTokens::new(Arc::clone(&storage));
/// let with = |token: &str| Credentials { authorization: Some(format!("Bearer {token}")), ..Credentials::default() };
/// assert_eq!(stored.authenticate(with(&issued.secret)).await.map(|principal| principal.tenant), Ok("acme".to_owned()));
///
/// tokens::revoke(&*storage, &issued.token.id).await?;
/// assert_eq!(stored.authenticate(with(&issued.secret)).await, Err(AuthError::Unauthenticated));
/// # Ok::<(), scimwell::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        let token = decode(&record).map_err(|error| AuthError::Unavailable(error.to_string()))?;
        if token.has_expired() {
            return Err(AuthError::Unauthenticated);
        }
        if credentials.tenant_hint.is_some_and(|tenant| tenant != token.tenant) {
            return Err(AuthError::Forbidden);
        }
        Ok(Principal { tenant: token.tenant, subject: token.id, permissions: token.permissions })
    }

    fn is_remote(&self) -> bool {
        self.storage.is_remote()
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

    fn is_remote(&self) -> bool {
        self.0.is_remote() || self.1.is_remote()
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
        let token = issue(&*storage, "acme", "Okta", Permissions::ALL, None).await.unwrap().secret;
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
        let token = issue(&storage, "acme", "Okta", Permissions::ALL, None).await.unwrap().secret;
        let everything = KeyRange { start: vec![0], end: vec![0xff] };
        let options = ScanOptions { limit: 9, ..ScanOptions::default() };
        let entries = storage.scan(HOST_SPACE, &everything, options).await.unwrap();
        assert_eq!(entries.len(), 3);
        for entry in entries {
            let text = String::from_utf8_lossy(&[entry.key, entry.value].concat()).into_owned();
            assert!(!text.contains(&token[PREFIX.len()..]), "{text}");
        }
    }

    #[tokio::test]
    async fn expired() {
        let storage = Arc::new(Memory::new());
        let tokens = StoredTokens::new(storage.clone());
        for (expires, holds) in [(now() - 1, false), (now() + 3600, true)] {
            let token = issue(&*storage, "acme", "", Permissions::ALL, Some(expires)).await.unwrap().secret;
            assert_eq!(tokens.authenticate(credentials(&format!("Bearer {token}"), None)).await.is_ok(), holds);
        }
    }

    #[tokio::test]
    async fn revoked() {
        let storage = Arc::new(Memory::new());
        let tokens = StoredTokens::new(storage.clone());
        let issued = issue(&*storage, "acme", "Okta", Permissions::READ_WRITE, None).await.unwrap();
        let bearer = credentials(&format!("Bearer {}", issued.secret), None);
        assert!(tokens.authenticate(bearer.clone()).await.is_ok());
        assert_eq!(find(&*storage, &issued.token.id).await.unwrap().as_ref(), Some(&issued.token));
        assert_eq!(revoke(&*storage, &issued.token.id).await.unwrap().as_ref(), Some(&issued.token));
        assert_eq!(tokens.authenticate(bearer).await, Err(AuthError::Unauthenticated));
        assert_eq!(revoke(&*storage, &issued.token.id).await.unwrap(), None);
        assert_eq!(revoke(&*storage, &"x".repeat(5000)).await.unwrap(), None);
        let everything = KeyRange { start: vec![0], end: vec![0xff] };
        assert_eq!(storage.count(HOST_SPACE, &everything).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn listed_by_tenant_and_in_pages() {
        let storage = Memory::new();
        // One name starts as the other does: neither lists the other's tokens.
        for tenant in ["acme", "acme-2", "acme", "b", "acme"] {
            issue(&storage, tenant, "", Permissions::ALL, None).await.unwrap();
        }
        let tenants = async |tenant, after: Option<&str>, limit| {
            let found = list(&storage, tenant, after, limit).await.unwrap().tokens;
            found.into_iter().map(|token| token.tenant).collect::<Vec<_>>()
        };
        assert_eq!(tenants(Some("acme"), None, 9).await, ["acme"; 3]);
        assert_eq!(tenants(Some("acme-2"), None, 9).await, ["acme-2"]);
        assert_eq!(tenants(Some("acm"), None, 9).await, [""; 0]);
        assert_eq!(tenants(None, None, 9).await.len(), 5);
        assert_eq!(tenants(Some("b"), Some("acme/"), 9).await, ["b"]);

        let mut found: Vec<Token> = Vec::new();
        let mut after = None;
        loop {
            let page = list(&storage, None, after.as_deref(), 2).await.unwrap();
            found.extend(page.tokens);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let ids: std::collections::BTreeSet<_> = found.iter().map(|token| &token.id).collect();
        assert_eq!((found.len(), ids.len()), (5, 5));
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
