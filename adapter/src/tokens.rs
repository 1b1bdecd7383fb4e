//! Who is let in: bearer tokens from settings, as plain text or, better, as their SHA-256.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bindings::exports::scimwell::provider::authenticator::{AuthError, Credentials, Permissions, Principal};
use crate::settings::Settings;

/// The tenant of the setting `token`.
pub const DEFAULT_TENANT: &str = "default";
/// Bytes of a tenant's name at most.
pub const MAX_TENANT: usize = 64;

/// How a token's hash begins where the hash is configured rather than the token.
const HASHED: &str = "sha256:";
/// The keys of an entry of the setting `tokens`.
const KEYS: [&str; 5] = ["tenant", "token", "label", "permissions", "expires"];

/// A configured token: all but the token itself.
#[derive(Clone, Debug)]
struct Token {
    /// Whom it lets in.
    principal: Principal,
    /// When it ceases to hold: seconds since 1970.
    expires: Option<i64>,
    hash: [u8; 32],
}

/// Whom the configured tokens let in. [`AuthError::Unavailable`] says what is wrong with the settings.
pub fn authenticate<S: Settings>(settings: &S, credentials: &Credentials) -> Result<Principal, AuthError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    holder(settings, credentials, i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The tokens of the settings `token` (one, of the tenant `default`, with all permissions) and `tokens` (a JSON array).
/// The error says what is wrong with which entry, and never shows a token.
fn configured<S: Settings>(settings: &S, token: &str, tokens: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    if !token.trim().is_empty() {
        let hash = hash_of(token).map_err(|why| format!("{}: {why}", settings.called("token")))?;
        let permissions = Permissions::all();
        let principal = Principal { tenant: DEFAULT_TENANT.into(), subject: S::SUBJECT.to_owned(), permissions };
        found.push(Token { principal, expires: None, hash });
    }
    if !tokens.trim().is_empty() {
        let called = settings.called("tokens");
        // serde's own words on a value of the wrong type would quote it.
        let entries: Value = serde_json::from_str(tokens)
            .map_err(|error| format!("{called}: no JSON at line {} column {}", error.line(), error.column()))?;
        let Value::Array(entries) = entries else {
            return Err(format!(r#"{called}: a JSON array is expected: [{{"tenant": "acme", "token": "sha256:…"}}]"#));
        };
        for (at, entry) in entries.iter().enumerate() {
            found.push(entry_of(entry).map_err(|why| format!("{called}, entry {}: {why}", at + 1))?);
        }
    }
    for (at, token) in found.iter().enumerate() {
        // One of them would never be found.
        if let Some(twin) = found[..at].iter().find(|earlier| earlier.hash == token.hash) {
            let (a, b) = (&twin.principal.tenant, &token.principal.tenant);
            return Err(format!("one token is configured twice, for the tenants `{a}` and `{b}`; give each its own"));
        }
    }
    if found.is_empty() {
        let (one, several) = (settings.called("token"), settings.called("tokens"));
        return Err(format!("no token is configured: set one as {one}, or several as {several}; {}", S::REMEDY));
    }
    Ok(found)
}

/// Whom the configured token that a request bears lets in, if it holds for the tenant that the URL names.
///
/// Where it is the one of the setting `token`, `tokens` is not read: Spin looks for a variable that nobody has set in the
/// environment each time, which takes it some 50 µs. Whoever learns from the time that the token was right has learnt it
/// from the answer.
fn holder<S: Settings>(settings: &S, credentials: &Credentials, now: i64) -> Result<Principal, AuthError> {
    let token = settings.get("token").map_err(AuthError::Unavailable)?;
    let among = |tokens: &str| {
        let configured = configured(settings, &token, tokens).map_err(AuthError::Unavailable)?;
        held(&configured, credentials, now)
    };
    if !token.is_empty()
        && let Ok(principal) = among("")
    {
        return Ok(principal);
    }
    among(&settings.get("tokens").map_err(AuthError::Unavailable)?)
}

/// Whom the one of the tokens lets in that is borne.
fn held(tokens: &[Token], credentials: &Credentials, now: i64) -> Result<Principal, AuthError> {
    let offered = bearer(credentials.authorization.as_deref()).ok_or(AuthError::Unauthenticated)?;
    let offered: [u8; 32] = Sha256::digest(offered).into();
    // All are compared, whichever fits: the time taken tells nothing.
    let found = tokens.iter().fold(None, |found, token| if same(&token.hash, &offered) { Some(token) } else { found });
    let token = found.ok_or(AuthError::Unauthenticated)?;
    if token.expires.is_some_and(|expires| expires <= now) {
        return Err(AuthError::Unauthenticated);
    }
    if credentials.tenant_hint.as_ref().is_some_and(|tenant| *tenant != token.principal.tenant) {
        return Err(AuthError::Forbidden);
    }
    Ok(token.principal.clone())
}

fn entry_of(entry: &Value) -> Result<Token, String> {
    let Value::Object(entry) = entry else { return Err("an object is expected".into()) };
    if let Some(unknown) = entry.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("there is no key `{unknown}`; the keys are {}", KEYS.join(", ")));
    }
    let tenant = text(entry, "tenant")?.ok_or("the key `tenant` is missing")?;
    if tenant.is_empty() || tenant.len() > MAX_TENANT || tenant.contains('\0') {
        return Err(format!("`tenant` is a name of 1 to {MAX_TENANT} bytes"));
    }
    let token = text(entry, "token")?.ok_or("the key `token` is missing")?;
    let hash = hash_of(token).map_err(|why| format!("`token`: {why}"))?;
    let subject = match text(entry, "label")? {
        Some(label) if !label.trim().is_empty() => label.trim().to_owned(),
        _ => format!("tok_{}", hex(&hash[..6])),
    };
    let expires = text(entry, "expires")?.map(seconds).transpose()?;
    let principal = Principal { tenant: tenant.to_owned(), subject, permissions: permissions(entry)? };
    Ok(Token { principal, expires, hash })
}

fn text<'e>(entry: &'e Map<String, Value>, key: &str) -> Result<Option<&'e str>, String> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is a string")),
    }
}

fn permissions(entry: &Map<String, Value>) -> Result<Permissions, String> {
    let names = match entry.get("permissions") {
        // What an identity provider needs.
        None | Some(Value::Null) => return Ok(Permissions::READ | Permissions::WRITE),
        Some(Value::Array(names)) => names,
        Some(_) => return Err("`permissions` is an array of `read`, `write` and `admin`".into()),
    };
    names.iter().try_fold(Permissions::empty(), |permissions, name| match name.as_str() {
        Some("read") => Ok(permissions | Permissions::READ),
        Some("write") => Ok(permissions | Permissions::WRITE),
        Some("admin") => Ok(permissions | Permissions::ADMIN),
        _ => Err(format!("`permissions`: {name} is none of `read`, `write` and `admin`")),
    })
}

/// Seconds since 1970 of a date (its start in UTC) or a date and time (RFC 3339).
fn seconds(text: &str) -> Result<i64, String> {
    let whole = if text.contains(['T', 't']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    OffsetDateTime::parse(&whole, &Rfc3339).map(OffsetDateTime::unix_timestamp).map_err(|_| {
        format!("`expires`: {text:?} is neither a date, 2027-01-31, nor a date and time, 2027-01-31T12:00:00Z")
    })
}

/// The SHA-256 of a token given as it is, or the one given in its stead.
fn hash_of(token: &str) -> Result<[u8; 32], String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("it is empty".into());
    }
    match token.strip_prefix(HASHED) {
        None => Ok(Sha256::digest(token).into()),
        Some(digits) => unhex(digits).ok_or_else(|| format!("`{HASHED}` is followed by 64 hexadecimal digits")),
    }
}

fn unhex(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(hash)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The token of an Authorization header: the scheme in any case (RFC 9110 §11.1).
fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Compares without stopping at the first difference.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    struct Given;

    impl Settings for Given {
        const SUBJECT: &'static str = "a-setting";
        const REMEDY: &'static str = "look there";

        /// `B` is the one token; nobody may ask for the others in vain.
        fn get(&self, name: &str) -> Result<String, String> {
            if name == "token" { Ok("B".to_owned()) } else { Err(format!("{name} is asked for")) }
        }

        fn called(&self, name: &str) -> String {
            format!("setting `{name}`")
        }
    }

    fn configured(token: &str, tokens: &str) -> Result<Vec<Token>, String> {
        super::configured(&Given, token, tokens)
    }

    /// SHA-256 of `B`.
    const HASH_OF_B: &str = "sha256:df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c";

    fn bearing(authorization: Option<&str>, tenant: Option<&str>) -> Credentials {
        Credentials {
            authorization: authorization.map(str::to_owned),
            tenant_hint: tenant.map(str::to_owned),
            client_certificate_subject: None,
            remote_address: None,
        }
    }

    fn ask(tokens: &[Token], authorization: &str, tenant: Option<&str>) -> Result<String, AuthError> {
        let principal = held(tokens, &bearing(Some(authorization), tenant), NOW)?;
        Ok(format!("{} {}", principal.tenant, principal.subject))
    }

    #[test]
    fn one_token_for_the_default_tenant() {
        for configured_as in ["B", HASH_OF_B, &HASH_OF_B.to_uppercase().replace("SHA256", "sha256")] {
            let tokens = configured(configured_as, "").unwrap();
            assert_eq!(tokens[0].principal.permissions, Permissions::READ | Permissions::WRITE | Permissions::ADMIN);
            assert_eq!(ask(&tokens, "Bearer B", None), Ok("default a-setting".into()));
            assert_eq!(ask(&tokens, "bEARER  B ", Some("default")), Ok("default a-setting".into()));
            assert_eq!(ask(&tokens, "Bearer B", Some("acme")), Err(AuthError::Forbidden));
            for wrong in ["Bearer b", "Bearer BB", "Bearer ", "Bearer", "Basic B", "B", "", HASH_OF_B] {
                assert_eq!(ask(&tokens, wrong, None), Err(AuthError::Unauthenticated), "{wrong}");
            }
            // A leaked hash is no token.
            assert_eq!(ask(&tokens, &format!("Bearer {HASH_OF_B}"), None), Err(AuthError::Unauthenticated));
            assert_eq!(held(&tokens, &bearing(None, None), NOW), Err(AuthError::Unauthenticated));
        }
    }

    #[test]
    fn the_others_are_read_for_another_token_alone() {
        let hold = |header| holder(&Given, &bearing(Some(header), None), NOW);
        assert_eq!(hold("Bearer B").map(|held| held.tenant), Ok("default".to_owned()));
        assert_eq!(hold("Bearer C"), Err(AuthError::Unavailable("tokens is asked for".to_owned())));
    }

    #[test]
    fn several_tenants() {
        let variable = format!(
            r#"[{{"tenant": "acme", "token": "A", "label": "Okta"}},
                {{"tenant": "b", "token": "{HASH_OF_B}", "permissions": ["read"]}},
                {{"tenant": "b", "token": "old", "expires": "2027-01-15T07:59:59Z"}},
                {{"tenant": "b", "token": "new", "expires": "2027-01-16", "permissions": ["read", "write", "admin"]}}]"#
        );
        let tokens = configured("T", &variable).unwrap();
        assert_eq!(ask(&tokens, "Bearer T", None), Ok("default a-setting".into()));
        assert_eq!(ask(&tokens, "Bearer A", None), Ok("acme Okta".into()));
        assert_eq!(ask(&tokens, "Bearer B", Some("b")), Ok("b tok_df7e70e50215".into()));
        assert_eq!(ask(&tokens, "Bearer A", Some("b")), Err(AuthError::Forbidden));
        assert_eq!(ask(&tokens, "Bearer old", None), Err(AuthError::Unauthenticated));
        assert!(ask(&tokens, "Bearer new", None).is_ok());
        let permissions: Vec<_> = tokens[1..].iter().map(|token| token.principal.permissions).collect();
        let read_write = Permissions::READ | Permissions::WRITE;
        assert_eq!(permissions, [read_write, Permissions::READ, read_write, read_write | Permissions::ADMIN]);
    }

    #[track_caller]
    fn refused(token: &str, tokens: &str, says: &str) {
        let said = configured(token, tokens).expect_err("it must be refused");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("S3CRET"), "{said}");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_token_shown() {
        refused("", "", "no token is configured");
        refused("sha256:S3CRET", "", "setting `token`: `sha256:` is followed by 64 hexadecimal digits");
        refused(&format!("sha256:{}", "é".repeat(32)), "", "64 hexadecimal digits");
        refused("S3CRET", r#"[{"tenant": "a", "token": "S3CRET"}]"#, "twice, for the tenants `default` and `a`");
        refused("", "[S3CRET]", "setting `tokens`: no JSON at line 1 column 2");
        refused("", r#"{"tenant": "S3CRET"}"#, "a JSON array is expected");
        refused("", r#"["S3CRET"]"#, "entry 1: an object is expected");
        refused("", r#"[{"token": "S3CRET"}]"#, "entry 1: the key `tenant` is missing");
        refused("T", r#"[{"tenant": "a"}]"#, "entry 1: the key `token` is missing");
        refused("T", r#"[{"tenant": "a", "token": " "}]"#, "entry 1: `token`: it is empty");
        refused("T", r#"[{"tenant": "", "token": "S3CRET"}]"#, "`tenant` is a name of 1 to 64 bytes");
        refused("T", r#"[{"tenant": "a", "token": "S3CRET", "tennant": "b"}]"#, "no key `tennant`");
        refused("T", r#"[{"tenant": "a", "token": "S3CRET", "permissions": "all"}]"#, "`permissions` is an array");
        refused("T", r#"[{"tenant": "a", "token": "S3CRET", "permissions": ["Read"]}]"#, "\"Read\" is none of");
        refused("T", r#"[{"tenant": "a", "token": "S3CRET", "expires": "soon"}]"#, "\"soon\" is neither a date");
        refused(
            "T",
            r#"[{"tenant": "a", "token": "S3CRET"}, {"tenant": "b", "token": 7}]"#,
            "entry 2: `token` is a string",
        );
    }
}
