//! The case that only a component can run: a store is open to an instance for as long as the grant under which it was opened.

use scimwell_storage_check::{Ended, Verdict, broken};

use super::bindings::scimwell::provider::{authenticator, storage};
use super::{OPEN, credentials};

/// Its name.
pub(crate) const NAME: &str = "grants";
/// What it looks at.
pub(crate) const CLAUSE: &str = "`open` opens the store of the tenant granted last; any other, and a store of an earlier grant, is `access-denied`.";

/// Runs it.
pub(crate) fn run() -> Verdict {
    // This instance may have a store open from another case.
    if let Ok(mut open) = OPEN.lock() {
        *open = None;
    }
    if authenticator::authenticate(&credentials(None)).is_ok() {
        return Err(Ended::Skipped(
            "the authenticator given to this check grants without a `tenant-hint`, so nothing can be refused"
                .to_owned(),
        ));
    }
    let (mine, other) = ("storage-check-grants", "storage-check-grants-other");
    denied("opening a store that nobody was granted", storage::open(mine))?;
    let granted = authenticate(mine)?;
    if granted != mine {
        return Err(Ended::Skipped(format!("asked for tenant {mine:?}, the authenticator grants {granted:?}")));
    }
    denied("opening another tenant's store", storage::open(other))?;
    denied("opening the store of the tenant with an empty name", storage::open(""))?;
    let first = opened(mine)?;
    works(&first)?;
    authenticate(other)?;
    ended("the store of the tenant granted before", &first)?;
    denied("opening the store of the tenant granted before", storage::open(mine))?;
    authenticate(mine)?;
    ended("a store that was opened under an earlier grant of the same tenant", &first)?;
    let second = opened(mine)?;
    works(&second)?;
    if authenticator::authenticate(&credentials(None)).is_ok() {
        return broken("the authenticator grants without a `tenant-hint` where it refused before".to_owned());
    }
    ended("a store after a refusal", &second)?;
    denied("opening a store after a refusal", storage::open(mine))
}

fn authenticate(tenant: &str) -> Result<String, Ended> {
    match authenticator::authenticate(&credentials(Some(tenant))) {
        Ok(principal) => Ok(principal.tenant),
        Err(error) => broken(format!("`authenticate` refuses the hint {tenant:?} with {error:?}")),
    }
}

fn opened(tenant: &str) -> Result<storage::Store, Ended> {
    storage::open(tenant).map_err(|error| Ended::Failed(format!("opening the store of the tenant granted: {error:?}")))
}

fn denied<T>(what: &str, result: Result<T, storage::StoreError>) -> Verdict {
    match result {
        Err(storage::StoreError::AccessDenied) => Ok(()),
        Err(other) => broken(format!("{what}: expected the error `access-denied`, came {other:?}")),
        Ok(_) => broken(format!("{what}: expected the error `access-denied`, but it works")),
    }
}

fn range() -> storage::KeyRange {
    storage::KeyRange { start: vec![], end: vec![u8::MAX] }
}

const ONE: storage::ScanOptions = storage::ScanOptions { reverse: false, keys_only: false, skip: 0, limit: 1 };

fn works(store: &storage::Store) -> Verdict {
    let failed =
        |call: &str, error: storage::StoreError| Ended::Failed(format!("{call} on the granted store: {error:?}"));
    store.get(&[vec![1]]).map_err(|error| failed("get", error))?;
    store.scan(&range(), ONE).map_err(|error| failed("scan", error))?;
    store.read(&[], &[], ONE, &[]).map_err(|error| failed("read", error))?;
    store.count(&range()).map_err(|error| failed("count", error))?;
    store.commit(&[], &[]).map_err(|error| failed("commit", error))?;
    Ok(())
}

fn ended(what: &str, store: &storage::Store) -> Verdict {
    denied(&format!("get on {what}"), store.get(&[vec![1]]))?;
    denied(&format!("scan on {what}"), store.scan(&range(), ONE))?;
    denied(&format!("read on {what}"), store.read(&[], &[], ONE, &[]))?;
    denied(&format!("count on {what}"), store.count(&range()))?;
    denied(&format!("commit on {what}"), store.commit(&[], &[]))
}
