//! What every storage backend must do, as checks that run on any of them.
//!
//! The cases are those of the crate `scimwell-storage-check`, which a component brings to other languages; here the parts
//! of a race run at once, and names are tried that no guest can ask for. A backend's own tests run [`check`] and expect no
//! violation. Each clause works in tenants of its own, emptied first, so that the suite may run again on the same database.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::sync::Arc;
//! use scimwell::storage::{Memory, contract};
//!
//! let violations = contract::check(&(Arc::new(Memory::new()) as Arc<_>)).await;
//! assert!(violations.is_empty(), "{violations:?}");
//! # });
//! ```

use std::fmt::{self, Display};
use std::sync::Arc;

use scimwell_storage_check::{Case, Ended, Space, Subject, Verdict, broken, conclude, prepare, run, same, take_part};
use tokio::task::JoinSet;

use super::{
    Check, Entry, Key, KeyRange, MAX_TENANT, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value,
};

/// Callers at once in the clauses about races.
const TASKS: u32 = 64;
/// The clause that [`Case`] has not: no guest can name these tenants.
const TENANT_NAMES: &str = "tenant-names";

/// A clause that a backend breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The clause's name.
    pub clause: &'static str,
    /// What was expected and what came.
    pub detail: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.clause, self.detail)
    }
}

impl std::error::Error for Violation {}

/// Runs every clause on the storage and returns those that it breaks.
pub async fn check(storage: &Arc<dyn Storage>) -> Vec<Violation> {
    let native = Native(Arc::clone(storage));
    let mut violations = Vec::new();
    let mut note = |clause, verdict| {
        // Nothing is skipped natively: whatever tenant is wanted is there.
        if let Err(Ended::Failed(detail) | Ended::Skipped(detail)) = verdict {
            violations.push(Violation { clause, detail });
        }
    };
    for case in Case::ALL.iter().copied() {
        let verdict = if case.is_race() { race(&native, case).await } else { run(&native, case).await };
        note(case.name(), verdict);
    }
    note(TENANT_NAMES, tenant_names(&native).await);
    violations
}

/// The names of all clauses, in the order in which [`check`] runs them.
pub fn clauses() -> impl Iterator<Item = &'static str> {
    Case::ALL.iter().map(|case| case.name()).chain([TENANT_NAMES])
}

/// Runs [`TASKS`] parts at once.
async fn race(native: &Native, case: Case) -> Verdict {
    prepare(native, case).await?;
    let mut parts = JoinSet::new();
    for part in 0..TASKS {
        let native = native.clone();
        parts.spawn(async move { take_part(&native, case, part, TASKS).await });
    }
    while let Some(ended) = parts.join_next().await {
        ended.map_err(|error| Ended::Failed(error.to_string()))??;
    }
    conclude(native, case, TASKS).await
}

/// The host's own key space is a tenant as others are, and names that a backend could not tell apart are refused.
async fn tenant_names(native: &Native) -> Verdict {
    let host = Space::open(native, "").await?;
    let key = "storage-check/host";
    host.apply(vec![Mutation::Put(key.into(), b"1".to_vec())]).await?;
    same("a key of the host's own", &host.get(key.as_bytes()).await?, &Some(b"1".to_vec()))?;
    host.apply(vec![Mutation::Delete(key.into())]).await?;
    for name in ["a\0b".to_owned(), "t".repeat(MAX_TENANT + 1)] {
        let bad = Space::open(native, &name).await?;
        let put = vec![Mutation::Put(b"a".to_vec(), vec![])];
        if bad.get(b"a").await.is_ok() || bad.apply(put).await.is_ok() {
            return broken(format!("tenant name {name:?} must be refused"));
        }
    }
    Ok(())
}

/// A storage as the cases call it.
#[derive(Clone)]
struct Native(Arc<dyn Storage>);

impl Subject for Native {
    async fn grant(&self, wanted: &str) -> Result<String, StoreError> {
        Ok(wanted.to_owned())
    }

    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.0.get(tenant, keys).await
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(tenant, range, options).await
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        self.0.read(tenant, keys, ranges, options, follow).await
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.0.count(tenant, range).await
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        self.0.commit(tenant, checks, mutations).await
    }

    async fn pause(&self) {
        tokio::task::yield_now().await;
    }
}
