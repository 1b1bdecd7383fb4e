//! A storage with one thing wrong with it, to see that each mistake is found for what it is.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Leads, Memory, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value,
};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, for now.
    None,
    /// Commits without a look at the checks.
    IgnoresChecks,
    /// Takes an empty value for an absent one where it checks.
    EmptyIsAbsent,
    /// Says `committed` and writes nothing.
    ForgetsCommits,
    /// Says `conflict` and writes all the same.
    WritesOnConflict,
    /// Always says `conflict`.
    AlwaysConflict,
    /// Applies the mutations one by one, so that those before a failure stay.
    NotAtomic,
    /// Reads for the checks and writes thereafter, with room for others in between.
    ChecksThenWrites,
    /// Applies deletions before everything else.
    Reorders,
    /// Reads a counter, adds to it and writes it back, with room for others in between.
    LosesAdds,
    /// Fills counters up to the greatest number instead of wrapping around.
    Saturates,
    /// Adds to what is no counter as if it were 0.
    AddsToText,
    /// Gives the number of a deleted record again.
    ReusesNumbers,
    /// Gives the numbers before the commits, so that a higher one may be seen first.
    NumbersEarly,
    /// Puts values in the order of capital and small letters alike.
    IgnoresCase,
    /// Lists ascending whatever is asked.
    ForgetsReverse,
    /// Passes over nothing.
    ForgetsSkip,
    /// Gives one entry more than wanted.
    ExceedsLimit,
    /// Takes the end of a range for a part of it.
    IncludesEnd,
    /// Gives the values where only keys are wanted.
    IgnoresKeysOnly,
    /// Gives at most 1,000 entries.
    Truncates,
    /// Gives no value for the last key.
    DropsLastKey,
    /// Keeps values as text.
    KeepsText,
    /// Keeps 255 bytes of a key.
    ShortKeys,
    /// Takes keys and values of any size.
    NoLimits,
    /// Has one key space for all tenants.
    MixesTenants,
    /// Reads from a copy that follows the writes a little later.
    ReadsLate,
    /// Reads each key at a time of its own.
    TornReads,
    /// Gives one value more than there are keys.
    ExtraValue,
    /// Ends each walk with an entry that lies outside the range.
    ForeignEntry,
    /// Gives the first entry twice.
    RepeatsEntry,
    /// Gives the first two entries in the wrong order.
    SwapsEntries,
    /// Cuts the last byte off each value.
    CutsValues,
    /// Keeps counters in decimal digits.
    CountsInDigits,
    /// Follows the whole keys of entries.
    FollowsWholeKeys,
    /// Follows entries one prefix after another.
    FollowsByPrefix,
}

/// Keeps everything in memory, and has the fault.
pub struct Misbehaving {
    memory: Memory,
    fault: Mutex<Fault>,
    numbers: AtomicU64,
    /// A commit that readers don't see yet.
    late: Mutex<Option<(String, Vec<Mutation>)>>,
}

impl Misbehaving {
    /// An empty storage.
    pub fn new(fault: Fault) -> Self {
        Self { memory: Memory::new(), fault: Mutex::new(fault), numbers: AtomicU64::new(0), late: Mutex::default() }
    }

    /// Goes on with another fault on the same data.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tenant<'t>(&self, tenant: &'t str) -> &'t str {
        if self.fault() == Fault::MixesTenants { "all" } else { tenant }
    }

    fn key(&self, mut key: Key) -> Key {
        if self.fault() == Fault::ShortKeys {
            key.truncate(255);
        }
        key
    }

    fn value(&self, value: Value) -> Value {
        match self.fault() {
            Fault::KeepsText => String::from_utf8_lossy(&value).into_owned().into_bytes(),
            _ => value,
        }
    }

    /// What was committed late is seen from now on.
    async fn arrive(&self) -> Result<(), StoreError> {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((tenant, mutations)) = late {
            self.memory.commit(&tenant, vec![], mutations).await?;
        }
        Ok(())
    }

    /// Whether the checks hold.
    async fn holds(&self, tenant: &str, checks: Vec<Check>) -> Result<bool, StoreError> {
        Ok(self.memory.commit(tenant, checks, vec![]).await? == Outcome::Committed)
    }

    async fn one(&self, tenant: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.memory.get(tenant, &[key.to_vec()]).await?.pop().flatten())
    }

    /// The checks as this storage takes them.
    async fn checks(&self, tenant: &str, checks: Vec<Check>) -> Result<Vec<Check>, StoreError> {
        let mut taken = Vec::new();
        for mut check in checks {
            match self.fault() {
                Fault::IgnoresChecks => continue,
                Fault::EmptyIsAbsent if check.expected.as_ref().is_none_or(Vec::is_empty) => {
                    let stored = self.one(tenant, &check.key).await?;
                    if stored.as_ref().is_none_or(Vec::is_empty) {
                        check.expected = stored;
                    }
                }
                Fault::NoLimits if check.key.len() > 1024 => continue,
                _ => {}
            }
            check.key = self.key(check.key);
            taken.push(check);
        }
        Ok(taken)
    }

    /// One mutation as this storage takes it; none where it is dropped.
    async fn mutation(&self, tenant: &str, mutation: Mutation) -> Result<Option<Mutation>, StoreError> {
        Ok(Some(match mutation {
            Mutation::Put(key, value)
                if self.fault() == Fault::NoLimits && (key.len() > 1024 || value.len() > 1 << 20) =>
            {
                return Ok(None);
            }
            Mutation::Put(key, value) => Mutation::Put(self.key(key), self.value(value)),
            Mutation::Delete(key) => Mutation::Delete(self.key(key)),
            Mutation::Add(key, by) => match self.fault() {
                Fault::CountsInDigits => {
                    let before = String::from_utf8(self.one(tenant, &key).await?.unwrap_or_default());
                    let before = before.ok().and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
                    Mutation::Put(key, before.wrapping_add(by).to_string().into_bytes())
                }
                Fault::Saturates => {
                    let before = counter(self.one(tenant, &key).await?);
                    Mutation::Put(key, before.saturating_add(by).to_le_bytes().to_vec())
                }
                Fault::AddsToText => {
                    let before = counter(self.one(tenant, &key).await?);
                    Mutation::Put(key, before.wrapping_add(by).to_le_bytes().to_vec())
                }
                _ => Mutation::Add(self.key(key), by),
            },
            Mutation::Append(prefix, value) => match self.fault() {
                Fault::ReusesNumbers | Fault::NumbersEarly => {
                    let number = self.numbers.fetch_add(1, Relaxed) + 1;
                    if self.fault() == Fault::NumbersEarly && number.is_multiple_of(3) {
                        for _ in 0..20 {
                            tokio::task::yield_now().await;
                        }
                    }
                    Mutation::Put([&prefix[..], &number.to_be_bytes()].concat(), value)
                }
                _ => Mutation::Append(self.key(prefix), value),
            },
            Mutation::DeleteRange(range) => {
                if self.fault() == Fault::ReusesNumbers {
                    self.numbers.store(0, Relaxed);
                }
                Mutation::DeleteRange(range)
            }
        }))
    }
}

#[async_trait]
impl Storage for Misbehaving {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let tenant = self.tenant(tenant);
        let keys: Vec<Key> = keys.iter().map(|key| self.key(key.clone())).collect();
        let mut values = match self.fault() {
            Fault::TornReads => {
                let mut values = Vec::new();
                for key in &keys {
                    values.push(self.one(tenant, key).await?);
                    tokio::task::yield_now().await;
                }
                values
            }
            _ => self.memory.get(tenant, &keys).await?,
        };
        match self.fault() {
            Fault::DropsLastKey => drop(values.pop()),
            Fault::ExtraValue => values.push(None),
            Fault::CutsValues => values.iter_mut().flatten().for_each(cut),
            Fault::ReadsLate => self.arrive().await?,
            _ => {}
        }
        Ok(values)
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let (tenant, mut range, mut options) = (self.tenant(tenant), range.clone(), options);
        match self.fault() {
            Fault::ForgetsReverse => options.reverse = false,
            Fault::ForgetsSkip => options.skip = 0,
            Fault::ExceedsLimit => options.limit = options.limit.saturating_add(1),
            Fault::IncludesEnd => range.end.push(0),
            Fault::IgnoresKeysOnly => options.keys_only = false,
            Fault::Truncates => options.limit = options.limit.min(1000),
            _ => {}
        }
        let mut entries = self.memory.scan(tenant, &range, options).await?;
        match self.fault() {
            Fault::ForeignEntry => entries.push(Entry { key: vec![0xff; 9], value: vec![] }),
            Fault::RepeatsEntry => entries.extend(entries.first().cloned()),
            Fault::SwapsEntries if entries.len() > 1 => entries.swap(0, 1),
            Fault::CutsValues => entries.iter_mut().for_each(|entry| cut(&mut entry.value)),
            Fault::IgnoresCase => entries.sort_by_key(|entry| entry.key.to_ascii_lowercase()),
            Fault::ReadsLate => self.arrive().await?,
            _ => {}
        }
        Ok(entries)
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let values = if keys.is_empty() { vec![] } else { self.get(tenant, keys).await? };
        let mut entries = Vec::new();
        for range in ranges {
            entries.push(self.scan(tenant, range, options).await?);
        }
        let from = |range: &KeyRange| match self.fault() {
            Fault::FollowsWholeKeys => KeyRange { start: vec![], end: range.end.clone() },
            _ => range.clone(),
        };
        let leads = Leads::of(&ranges.iter().map(from).collect::<Vec<_>>(), &entries, follow);
        let mut followed = leads.followed(self.get(tenant, leads.keys()).await?);
        if self.fault() == Fault::FollowsByPrefix {
            for values in &mut followed {
                let by_prefix = |at: usize| values.iter().skip(at).step_by(follow.len()).cloned().collect::<Vec<_>>();
                *values = (0..follow.len()).flat_map(by_prefix).collect();
            }
        }
        Ok(Reading { values, entries, followed })
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        let count = self.memory.count(self.tenant(tenant), range).await?;
        if self.fault() == Fault::ReadsLate {
            self.arrive().await?;
        }
        Ok(count)
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        let tenant = self.tenant(tenant);
        self.arrive().await?;
        let checks = self.checks(tenant, checks).await?;
        let mut taken = Vec::new();
        for mutation in mutations {
            taken.extend(self.mutation(tenant, mutation).await?);
        }
        match self.fault() {
            Fault::ForgetsCommits => self.memory.commit(tenant, checks, vec![]).await,
            Fault::AlwaysConflict => Ok(Outcome::Conflict),
            Fault::WritesOnConflict => {
                let outcome = self.memory.commit(tenant, checks, taken.clone()).await?;
                if outcome == Outcome::Conflict {
                    self.memory.commit(tenant, vec![], taken).await?;
                }
                Ok(outcome)
            }
            Fault::NotAtomic => {
                if !self.holds(tenant, checks).await? {
                    return Ok(Outcome::Conflict);
                }
                for mutation in taken {
                    self.memory.commit(tenant, vec![], vec![mutation]).await?;
                }
                Ok(Outcome::Committed)
            }
            Fault::ChecksThenWrites => {
                if !self.holds(tenant, checks).await? {
                    return Ok(Outcome::Conflict);
                }
                tokio::task::yield_now().await;
                self.memory.commit(tenant, vec![], taken).await
            }
            Fault::LosesAdds => {
                // Every counter is put back to what it was when this commit began.
                let mut all = Vec::new();
                for mutation in &taken {
                    let Mutation::Add(key, _) = mutation else { continue };
                    let before = self.one(tenant, key).await?;
                    all.push(match before {
                        Some(value) => Mutation::Put(key.clone(), value),
                        None => Mutation::Delete(key.clone()),
                    });
                }
                tokio::task::yield_now().await;
                all.extend(taken);
                self.memory.commit(tenant, checks, all).await
            }
            Fault::Reorders => {
                taken.sort_by_key(|mutation| !matches!(mutation, Mutation::Delete(_) | Mutation::DeleteRange(_)));
                self.memory.commit(tenant, checks, taken).await
            }
            Fault::ReadsLate => {
                if !self.holds(tenant, checks).await? {
                    return Ok(Outcome::Conflict);
                }
                *self.late.lock().unwrap_or_else(PoisonError::into_inner) = Some((tenant.to_owned(), taken));
                Ok(Outcome::Committed)
            }
            _ => self.memory.commit(tenant, checks, taken).await,
        }
    }
}

/// Takes the last byte off.
fn cut(value: &mut Value) {
    value.truncate(value.len().saturating_sub(1));
}

/// What a counter holds; 0 where it is none.
fn counter(value: Option<Value>) -> i64 {
    value.and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
}
