//! The tenant that the latest `authenticate` granted. An adapter serves one call at a time, so that one place holds it.

use std::cell::RefCell;

use crate::bindings::exports::scimwell::provider::authenticator::{AuthError, Principal};

/// The latest grant: its number, and whose store it opens.
struct Grant {
    number: u64,
    tenant: Option<String>,
}

thread_local! {
    static GRANT: RefCell<Grant> = const { RefCell::new(Grant { number: 0, tenant: None }) };
}

/// Replaces the grant, whatever the new one is: every store that is open ends.
fn replace(tenant: Option<&str>) {
    GRANT.with_borrow_mut(|grant| *grant = Grant { number: grant.number + 1, tenant: tenant.map(str::to_owned) });
}

/// Grants whom `decide` lets in, and nobody while it decides. Why nobody can be let in is written by `log`.
pub fn decided(
    decide: impl FnOnce() -> Result<Principal, AuthError>,
    log: impl FnOnce(&str),
) -> Result<Principal, AuthError> {
    replace(None);
    let principal = decide().inspect_err(|error| {
        if let AuthError::Unavailable(why) = error {
            log(why);
        }
    })?;
    replace(Some(&principal.tenant));
    Ok(principal)
}

/// The number of the grant that opens this tenant's store, if it is the latest.
pub fn of(tenant: &str) -> Option<u64> {
    GRANT.with_borrow(|grant| (grant.tenant.as_deref() == Some(tenant)).then_some(grant.number))
}

/// Whether the grant of this number is the latest.
pub fn is_latest(number: u64) -> bool {
    GRANT.with_borrow(|grant| grant.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_ends_with_the_next() {
        assert_eq!(of("acme"), None);
        replace(Some("acme"));
        let first = of("acme").unwrap();
        assert!(is_latest(first) && of("other").is_none() && of("").is_none());
        replace(Some("acme"));
        assert!(!is_latest(first) && of("acme").is_some());
        replace(None);
        assert_eq!(of("acme"), None);
    }
}
