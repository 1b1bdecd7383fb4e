//! The storage under test, one tenant of it at a time, and how a case speaks about it.

use std::fmt::Debug;

use crate::types::{Check, Entry, Key, KeyRange, MAX_KEY, Mutation, Outcome, Reading, ScanOptions, StoreError, Value};

/// A storage under test. Every call names its tenant.
pub trait Subject: Clone + Send + Sync + 'static {
    /// Makes a tenant usable, and tells which one it has become: an application of one customer may have one tenant only,
    /// whichever is wanted.
    fn grant(&self, wanted: &str) -> impl Future<Output = Result<String, StoreError>> + Send;
    /// The values of `keys`, in that order.
    fn get(&self, tenant: &str, keys: &[Key]) -> impl Future<Output = Result<Vec<Option<Value>>, StoreError>> + Send;
    /// The entries of a range.
    fn scan(
        &self,
        tenant: &str,
        range: &KeyRange,
        options: ScanOptions,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
    /// The values of `keys`, the entries of each of the `ranges`, and what those lead to.
    fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> impl Future<Output = Result<Reading, StoreError>> + Send;
    /// How many keys a range holds.
    fn count(&self, tenant: &str, range: &KeyRange) -> impl Future<Output = Result<u64, StoreError>> + Send;
    /// Applies all mutations if every check holds.
    fn commit(
        &self,
        tenant: &str,
        checks: Vec<Check>,
        mutations: Vec<Mutation>,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;
    /// Lets the others who take part in a race go on, where they wait for this one.
    fn pause(&self) -> impl Future<Output = ()> + Send;
}

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The storage breaks the contract: what was expected and what came.
    Failed(String),
    /// The case can't be run on this storage: why not.
    Skipped(String),
}

/// How a case ends.
pub type Verdict = Result<(), Ended>;

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(format!("the storage answers with an error: {error}"))
    }
}

/// More entries than any case writes, and no more than every host lets a guest ask for.
pub const ALL: ScanOptions = ScanOptions { reverse: false, keys_only: false, skip: 0, limit: 100_000 };

/// One tenant's store under test.
#[derive(Clone)]
pub struct Space<S> {
    /// The storage.
    pub subject: S,
    /// Whose store.
    pub tenant: String,
    /// Whether it is the check's own by its name, so that whatever it holds may be removed.
    own: bool,
}

impl<S: Subject> Space<S> {
    /// The store of a tenant that is named after the check, or of the one tenant that there is.
    pub async fn open(subject: &S, wanted: &str) -> Result<Self, Ended> {
        let tenant = subject.grant(wanted).await.map_err(|error| Ended::Failed(format!("opening a store: {error}")))?;
        Ok(Self { subject: subject.clone(), own: tenant == wanted, tenant })
    }

    /// The store of another tenant of the check's own, where there may be more than one.
    pub(crate) async fn sibling(&self, suffix: &str) -> Result<Self, Ended> {
        let wanted = format!("{}{suffix}", self.tenant);
        match Self::open(&self.subject, &wanted).await? {
            other if other.own && self.own => Ok(other),
            other => Err(Ended::Skipped(format!(
                "asked for tenant {wanted:?}, the authenticator grants {:?}: with one tenant there is nothing to keep apart",
                other.tenant
            ))),
        }
    }

    /// Makes the store empty, or finds it so: what is not the check's own by its name is never removed.
    pub(crate) async fn begin(&self) -> Verdict {
        if !self.own {
            let found = self.count(&everything()).await?;
            return match found {
                0 => Ok(()),
                _ => broken(format!(
                    "tenant {:?} has {found} keys, and the check would remove them; give it a storage that is empty",
                    self.tenant
                )),
            };
        }
        self.clear().await?;
        same("all entries after everything was deleted", &self.all().await?, &Vec::new())
    }

    /// Removes everything.
    pub(crate) async fn clear(&self) -> Verdict {
        self.apply(vec![Mutation::DeleteRange(everything())]).await
    }

    /// Commits without checks.
    pub async fn apply(&self, mutations: Vec<Mutation>) -> Verdict {
        self.outcome(vec![], mutations, Outcome::Committed).await
    }

    /// Commits, and compares how that ended.
    pub async fn outcome(&self, checks: Vec<Check>, mutations: Vec<Mutation>, expect: Outcome) -> Verdict {
        let what = format!("commit of {} mutations if {checks:?}", mutations.len());
        same(&what, &self.subject.commit(&self.tenant, checks, mutations).await?, &expect)
    }

    /// The value of one key.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Ended> {
        let values = self.subject.get(&self.tenant, &[key.to_vec()]).await?;
        match <[_; 1]>::try_from(values) {
            Ok([value]) => Ok(value),
            Err(values) => broken(format!("{} values for one key", values.len())),
        }
    }

    /// What a counter holds.
    pub async fn counter(&self, key: &str) -> Result<Option<i64>, Ended> {
        let Some(value) = self.get(key.as_bytes()).await? else { return Ok(None) };
        match <[u8; 8]>::try_from(value) {
            Ok(bytes) => Ok(Some(i64::from_le_bytes(bytes))),
            Err(value) => broken(format!("counter {key:?} holds {value:?}, which is not 8 bytes")),
        }
    }

    /// The entries from `start` to `end`.
    pub async fn scan(&self, start: &[u8], end: &[u8], options: ScanOptions) -> Result<Vec<Entry>, Ended> {
        let range = KeyRange { start: start.to_vec(), end: end.to_vec() };
        Ok(self.subject.scan(&self.tenant, &range, options).await?)
    }

    /// How many keys a range holds.
    pub(crate) async fn count(&self, range: &KeyRange) -> Result<u64, Ended> {
        Ok(self.subject.count(&self.tenant, range).await?)
    }

    /// All entries.
    pub(crate) async fn all(&self) -> Result<Vec<Entry>, Ended> {
        Ok(self.subject.scan(&self.tenant, &everything(), ALL).await?)
    }

    /// Compares all entries with what is expected.
    pub async fn holds(&self, expect: &[(&str, &str)]) -> Verdict {
        let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
        same("all entries", &self.all().await?, &expect.iter().map(entry).collect())
    }
}

fn everything() -> KeyRange {
    KeyRange { start: vec![], end: vec![u8::MAX; MAX_KEY + 1] }
}

/// Compares; `what` tells what was looked at.
pub fn same<T: PartialEq + Debug>(what: &str, actual: &T, expect: &T) -> Verdict {
    if actual == expect {
        return Ok(());
    }
    broken(format!("{what}: expected {}, came {}", excerpt(expect), excerpt(actual)))
}

/// The case fails for this reason.
pub fn broken<T>(detail: String) -> Result<T, Ended> {
    Err(Ended::Failed(detail))
}

/// Enough of a value to find what is wrong with it.
fn excerpt(value: &impl Debug) -> String {
    const SHOWN: usize = 300;
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
