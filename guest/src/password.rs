//! Passwords as argon2id hashes (RFC 7643 §9.2, RFC 9106), in the PHC string format.

use std::fmt;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits::PASSWORD_BYTES;
use crate::precis;

/// KiB of memory, passes and lanes: what OWASP's Password Storage Cheat Sheet recommends for argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// What a request does to the password of a resource.
#[derive(Clone, Default)]
pub enum Password {
    /// Nothing: it names none, or the tenant keeps none.
    #[default]
    Kept,
    /// Sets it to what has this hash.
    Set(String),
    /// Takes it away.
    Removed,
}

/// Not even a hash is shown.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::Set(_) => "Set",
            Self::Removed => "Removed",
        })
    }
}

/// The hash of a password, prepared as RFC 7643 §4.1.1 has it, for storage: `$argon2id$v=19$m=19456,t=2,p=1$…`.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String> {
    if password.len() > PASSWORD_BYTES {
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("password: at most {PASSWORD_BYTES} bytes are taken, this one has {}; shorten it", password.len()),
        ));
    }
    let failed =
        |why: String| ScimError::new(ErrorKind::Internal, "The server failed to keep a password.").with_log(why);
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| failed(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(precis::opaque(password).as_bytes(), &salt);
    Ok(hash.map_err(|error| failed(error.to_string()))?.to_string())
}

/// Whether this is the password whose hash was stored. What is no hash fits no password.
pub fn matches(password: &str, hash: &str) -> bool {
    password.len() <= PASSWORD_BYTES
        && Argon2::default().verify_password(precis::opaque(password).as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_its_hash() {
        let stored = hash("pa\u{A0}ss wört", [7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(matches("pa ss wört", &stored));
        assert!(matches("pa ss wo\u{308}rt", &stored));
        assert!(!matches("pa ss wort", &stored));
        assert!(!matches("", "no hash"));
        assert_ne!(stored, hash("pa ss wört", [8; 16]).unwrap());
    }

    #[test]
    fn a_long_password_is_refused_unseen() {
        let error = hash(&"x".repeat(PASSWORD_BYTES + 1), [0; 16]).unwrap_err();
        assert!(!error.detail.contains("xx"));
    }
}
