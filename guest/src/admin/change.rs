//! How a configuration changes while requests go on.
//!
//! 1. Stored resources are looked at, and a change that they violate is refused with nothing done.
//! 2. The configuration is published. Every write checks its version at the commit, so that from here on nothing is
//!    written that was validated against the old one.
//! 3. What was written between 1 and 2 is looked at again, and keys of newly indexed or unique attributes are made, in
//!    steps of one bounded commit each. Queries use such keys only when all are there. Should something be in the way, the
//!    old configuration comes back.
//!
//! The request does all of it. If it is cut off, each later write does a step, as with sweeping.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::limits;
use crate::ops::Context;
use crate::resource::{Object, Timestamp};
use crate::schema::{Attribute, Keyed, Registry, ResourceType, Target};
use crate::store::log::{self, Configured, Operation, Record};
use crate::store::{Mode, Read, Store, Txn, keys, repo, transact};
use crate::tenant::{Configuration, Stored, Work};

use super::conform::{self, Violations};
use super::{json, settings};

/// What a change is about, for the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// `Settings`, `Schema` or `ResourceType`.
    pub(super) kind: &'a str,
    /// Which one.
    pub(super) id: &'a str,
}

/// Change the configuration, and bring the stored data's keys in line with it. 409 where stored resources violate it.
pub(super) fn publish<H: Host, T>(
    ctx: &Context<'_, H>,
    subject: Subject<'_>,
    change: impl Fn(&mut Configuration) -> Result<T>,
) -> Result<T> {
    let mut value = None;
    // One copy of what follows in the component, whatever the change is.
    publish_any(ctx, subject, &mut |configuration| {
        value = Some(change(configuration)?);
        Ok(())
    })?;
    value.ok_or_else(|| ScimError::new(ErrorKind::Internal, "The server failed to change its configuration."))
}

fn publish_any<H: Host>(
    ctx: &Context<'_, H>,
    subject: Subject<'_>,
    change: &mut dyn FnMut(&mut Configuration) -> Result<()>,
) -> Result<()> {
    for _ in 0..limits::COMMIT_ATTEMPTS {
        finish(&ctx.store, ctx.now)?;
        let bytes = ctx.store.peek_one(keys::tenant())?;
        let stored = Stored::decode(bytes.as_deref())?;
        let mut configuration = stored.configuration.clone();
        change(&mut configuration)?;
        if configuration == stored.configuration {
            return Ok(());
        }
        let old = stored.configuration.clone().registry()?;
        let new = configuration.clone().registry()?;
        settings::check(&configuration.settings, &new)?;
        let difference = Difference::new(&old, &new);
        let since = last_record(&ctx.store)?;
        conform::check(&ctx.store, &new, &difference.narrowed, &difference.build)?;
        let work = difference.work(Some(since));
        let revocable = work.iter().any(|work| !matches!(work, Work::Remove(_)));
        let next = Stored {
            version: stored.version + 1,
            work,
            previous: revocable.then(|| stored.configuration.clone()),
            configuration,
        };
        let published = transact(&ctx.store, Mode::Commit, |txn| {
            if txn.read_one(&keys::tenant())? != bytes {
                return Ok(false);
            }
            for resource_type in &difference.removed {
                stays_empty(txn, resource_type)?;
            }
            write(txn, &next)?;
            record(txn, ctx.now, &ctx.principal.subject, subject, (&stored.configuration, &next.configuration))?;
            Ok(true)
        })?;
        if !published {
            continue;
        }
        finish(&ctx.store, ctx.now)?;
        let now = Stored::decode(ctx.store.peek_one(keys::tenant())?.as_deref())?;
        if now.version > next.version && now.configuration == stored.configuration {
            return Err(ScimError::new(
                ErrorKind::Conflict,
                "Resources written in the meantime violate the change, so that it was taken back. Repeat it to see which.",
            ));
        }
        return Ok(());
    }
    Err(ScimError::new(
        ErrorKind::Unavailable,
        "The configuration is being changed by many requests at once; nothing was changed by this one. Repeat it.",
    ))
}

/// What a change of the registry asks of stored data.
#[derive(Default)]
struct Difference {
    /// Types that are gone.
    removed: Vec<ResourceType>,
    /// Names of types that refuse what they took before.
    narrowed: BTreeSet<String>,
    /// Keys to make, by type.
    build: BTreeMap<String, Vec<Keyed>>,
    /// Keys that would look otherwise now: they go before the new ones are made.
    reshape: Vec<Keyed>,
    /// Keys that nobody needs any more.
    remove: Vec<Keyed>,
}

impl Difference {
    fn new(old: &Registry, new: &Registry) -> Self {
        let mut difference = Self::default();
        for before in old.resource_types.iter() {
            match new.by_name(&before.name) {
                None => difference.removed.push(before.clone()),
                Some(after) if narrows(before, after) => _ = difference.narrowed.insert(before.name.to_string()),
                Some(_) => {}
            }
        }
        // Values compare otherwise where the type or the case rule is another, and then their keys are others too.
        let shape = |target: &Target<'_>| (target.leaf().kind, target.leaf().folds_case(), target.is_single());
        let shapes = |registry: &Registry| {
            let mut shapes = BTreeMap::new();
            // One by one: `collect` would bring a sort of its own along, 9 KB of component.
            shapes.extend(registry.keyed().into_iter().map(|(keyed, target)| (keyed, shape(&target))));
            shapes
        };
        let (before, after) = (shapes(old), shapes(new));
        for (keyed, shape) in &after {
            // A type that is new has no resources.
            let known = old.by_name(&keyed.resource_type).is_some();
            if !known || before.get(keyed) == Some(shape) {
                continue;
            }
            if before.contains_key(keyed) {
                difference.reshape.push(keyed.clone());
            }
            difference.build.entry(keyed.resource_type.clone()).or_default().push(keyed.clone());
        }
        difference.remove = before.into_keys().filter(|keyed| !after.contains_key(keyed)).collect();
        difference
    }

    /// The work to be done, in order; `since` is the end of the log before stored data was looked at.
    fn work(&self, since: Option<u64>) -> Vec<Work> {
        let mut work = Vec::new();
        if let Some(after) = since.filter(|_| !self.narrowed.is_empty()) {
            work.push(Work::Recheck { after, types: self.narrowed.iter().cloned().collect() });
        }
        work.extend(self.reshape.iter().cloned().map(Work::Remove));
        work.extend(self.build.values().map(|keys| Work::Build { keys: keys.clone(), after: None }));
        work.extend(self.remove.iter().cloned().map(Work::Remove));
        work
    }
}

/// Whether a resource of the old form might not be one of the new form.
fn narrows(old: &ResourceType, new: &ResourceType) -> bool {
    let extensions = old.extensions.iter().any(|before| {
        match new.extensions.iter().find(|after| after.schema.id == before.schema.id) {
            None => true,
            Some(after) => {
                after.required && !before.required
                    || attributes_narrow(&before.schema.attributes, &after.schema.attributes)
            }
        }
    });
    let known = |id: &str| old.extensions.iter().any(|before| before.schema.id == id);
    extensions
        || new.extensions.iter().any(|after| after.required && !known(&after.schema.id))
        || attributes_narrow(&old.schema.attributes, &new.schema.attributes)
}

fn attributes_narrow(old: &[Attribute], new: &[Attribute]) -> bool {
    let lost = old.iter().any(|before| match new.iter().find(|after| after.name == before.name) {
        None => true,
        Some(after) => {
            after.kind != before.kind
                || after.multi_valued != before.multi_valued
                || after.required && !before.required
                || after.uniqueness != before.uniqueness
                || attributes_narrow(&before.sub_attributes, &after.sub_attributes)
        }
    });
    lost || new.iter().any(|after| after.required && !old.iter().any(|before| before.name == after.name))
}

/// A type that goes has no resources at the commit.
fn stays_empty<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType) -> Result<()> {
    let count = txn.read_one(&keys::resource_count(resource_type))?;
    match crate::store::counter(count.as_deref())? {
        0 => Ok(()),
        count => {
            let mut violations = Violations::default();
            let first = txn.entries(
                &keys::documents(resource_type),
                true,
                u32::try_from(limits::VIOLATIONS_SHOWN).unwrap_or(u32::MAX),
            )?;
            for entry in &first {
                violations.add(resource_type, &keys::last_part(&entry.key), "its type would be gone");
            }
            violations.raise_total(usize::try_from(count).unwrap_or(0));
            violations.into_result()
        }
    }
}

fn write<S: Store>(txn: &mut Txn<'_, S>, stored: &Stored) -> Result<()> {
    txn.put(keys::tenant(), stored.encode()?);
    if let Some(version) = stored.version_value() {
        txn.put(keys::tenant_version(), version);
    }
    Ok(())
}

fn last_record(store: &impl Store) -> Result<u64> {
    let options = crate::store::ScanOptions { reverse: true, keys_only: true, limit: 1, ..Default::default() };
    let last = store.scan(&keys::log_records(), options).map_err(crate::store::failure)?;
    Ok(last.first().map_or(0, |entry| keys::log_sequence(&entry.key)))
}

/// Do all the work that is left.
fn finish(store: &impl Store, now: Timestamp) -> Result<()> {
    while step(store, now)? {}
    Ok(())
}

/// Do a step of the work that is left, in one commit. Returns whether there was any.
pub fn step<S: Store>(store: &S, now: Timestamp) -> Result<bool> {
    transact(store, Mode::Commit, |txn| {
        // Two that work on the same meet on this key; the second goes on from where the first has come to.
        let mut stored = Stored::decode(txn.read_one(&keys::tenant())?.as_deref())?;
        let Some(work) = stored.work.first().cloned() else { return Ok(false) };
        let registry = stored.clone().into_tenant()?.registry;
        let done = match work {
            Work::Recheck { after, types } => recheck(txn, &registry, after, types)?,
            Work::Build { keys, after } => build(txn, &registry, keys, after, stored.previous.is_some())?,
            Work::Remove(keyed) => remove(txn, keyed)?,
        };
        match done {
            Done::All => _ = stored.work.remove(0),
            Done::Part(work) => stored.work[0] = work,
            Done::Violated => {
                take_back(txn, &mut stored, now)?;
                return Ok(true);
            }
        }
        if stored.work.iter().all(|work| matches!(work, Work::Remove(_))) {
            stored.previous = None;
        }
        txn.put(keys::tenant(), stored.encode()?);
        Ok(true)
    })
}

/// What a step has come to.
enum Done {
    /// The piece of work is done.
    All,
    /// This is left of it.
    Part(Work),
    /// Stored data is in the way.
    Violated,
}

/// Back to the configuration before, with the keys that it needs.
fn take_back<S: Store>(txn: &mut Txn<'_, S>, stored: &mut Stored, now: Timestamp) -> Result<()> {
    let Some(previous) = stored.previous.take() else {
        return Err(ScimError::new(ErrorKind::Internal, "The server failed to apply the tenant's configuration.")
            .with_log("stored data violates a configuration that has none before it"));
    };
    let failed = std::mem::replace(&mut stored.configuration, previous);
    let difference = Difference::new(&*failed.clone().registry()?, &*stored.configuration.clone().registry()?);
    stored.version += 1;
    // Keys that this configuration had before may have been neglected since: all of them are made again.
    stored.work = difference.work(None);
    write(txn, stored)?;
    let subject = Subject { kind: "Settings", id: "taken back" };
    record(txn, now, "scimwell", subject, (&failed, &stored.configuration))
}

fn recheck<S: Store>(txn: &mut Txn<'_, S>, registry: &Registry, after: u64, types: Vec<String>) -> Result<Done> {
    let entries = txn.entries(&keys::log_after(after), false, limits::BUILD_BATCH)?;
    let Some(last) = entries.last() else { return Ok(Done::All) };
    for entry in &entries {
        let record: Record = serde_json::from_slice(&entry.value).map_err(|error| {
            ScimError::new(ErrorKind::Internal, "The server failed to read its log.").with_log(error.to_string())
        })?;
        if record.operation == Operation::Delete || !types.contains(&record.resource_type) {
            continue;
        }
        let Some(resource_type) = registry.by_name(&record.resource_type) else { continue };
        // Whatever has been written since was validated against the new configuration: a peek is enough.
        let Some(document) = txn.peek_one(keys::document(resource_type, &record.id))? else { continue };
        if conform::violation(resource_type, &repo::decode(&record.id, &document)?).is_some() {
            return Ok(Done::Violated);
        }
    }
    Ok(Done::Part(Work::Recheck { after: keys::log_sequence(&last.key), types }))
}

fn build<S: Store>(
    txn: &mut Txn<'_, S>,
    registry: &Registry,
    keyed: Vec<Keyed>,
    after: Option<String>,
    strict: bool,
) -> Result<Done> {
    let Some(resource_type) = keyed.first().and_then(|keyed| registry.by_name(&keyed.resource_type)) else {
        return Ok(Done::All);
    };
    let ranges: Vec<_> = keyed.iter().map(keys::keyed).collect();
    let all = keys::documents(resource_type);
    let range = after.as_ref().map_or_else(|| all.clone(), |id| keys::after(&all, &keys::document(resource_type, id)));
    let entries = txn.entries(&range, false, limits::BUILD_BATCH)?;
    let mut last = after;
    let mut bytes = 0;
    let ended = entries.len() < limits::BUILD_BATCH as usize;
    let count = entries.len();
    for (i, entry) in entries.into_iter().enumerate() {
        let id = keys::last_part(&entry.key);
        let resource = repo::decode(&id, &entry.value)?;
        let (unique, index) = repo::keys_within(resource_type, &resource, &ranges);
        for key in index {
            txn.put(key, Vec::new());
        }
        let holders = txn.read(&unique)?;
        for (key, holder) in unique.into_iter().zip(holders) {
            match holder {
                None => txn.put(key, id.clone().into_bytes()),
                Some(holder) if holder == id.as_bytes() => {}
                Some(_) if strict => return Ok(Done::Violated),
                // On the way back there is no other way: the first holder keeps the value.
                Some(_) => {}
            }
        }
        bytes += entry.value.len();
        // The document must still be this one when its keys are written.
        txn.assume(entry.key, Some(entry.value));
        last = Some(id);
        if bytes > limits::DOCUMENT_BYTES && i + 1 < count {
            return Ok(Done::Part(Work::Build { keys: keyed, after: last }));
        }
    }
    match ended {
        true => Ok(Done::All),
        false => Ok(Done::Part(Work::Build { keys: keyed, after: last })),
    }
}

fn remove<S: Store>(txn: &mut Txn<'_, S>, keyed: Keyed) -> Result<Done> {
    let entries = txn.entries(&keys::keyed(&keyed), true, limits::SWEEP_EDGES)?;
    let ended = entries.len() < limits::SWEEP_EDGES as usize;
    for entry in entries {
        txn.delete(entry.key);
    }
    Ok(if ended { Done::All } else { Done::Part(Work::Remove(keyed)) })
}

/// The log's record of the change.
fn record<S: Store>(
    txn: &mut Txn<'_, S>,
    now: Timestamp,
    who: &str,
    subject: Subject<'_>,
    (before, after): (&Configuration, &Configuration),
) -> Result<()> {
    let (before, after) = (part(before, subject)?, part(after, subject)?);
    let change = Configured { kind: subject.kind, id: subject.id, before: before.as_ref(), after: after.as_ref() };
    log::append_configuration(txn, now, who, &change)
}

/// The part of a configuration that a change is about.
fn part(configuration: &Configuration, subject: Subject<'_>) -> Result<Option<Object>> {
    let definitions = &configuration.definitions;
    let found = match subject.kind {
        "Schema" => definitions.schema(subject.id).map(json),
        "ResourceType" => definitions.resource_type(subject.id).map(json),
        _ => Some(json(&configuration.settings)),
    };
    match found.transpose()? {
        Some(Value::Object(object)) => Ok(Some(object)),
        _ => Ok(None),
    }
}
