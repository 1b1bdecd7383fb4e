//! Whether stored resources are as a configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::{Object, Resource};
use crate::schema::{Attribute, Keyed, Mutability, Registry, ResourceType};
use crate::store::{Key, KeyRange, Read, keys, repo};
use crate::validate;

/// What stands against a configuration: how many resources, and the first of them with the reason.
#[derive(Default)]
pub(super) struct Violations {
    total: usize,
    shown: Vec<String>,
}

impl Violations {
    /// Count a resource.
    pub(super) fn add(&mut self, resource_type: &ResourceType, id: &str, why: &str) {
        self.total += 1;
        if self.shown.len() < limits::VIOLATIONS_SHOWN {
            self.shown.push(format!("{} {id} ({why})", resource_type.name));
        }
    }

    /// There are this many in all, whatever was counted.
    pub(super) fn raise_total(&mut self, total: usize) {
        self.total = self.total.max(total);
    }

    /// 409 with the list, where there is anything on it.
    pub(super) fn into_result(self) -> Result<()> {
        match self.refusal() {
            None => Ok(()),
            Some(detail) => Err(ScimError::new(ErrorKind::Conflict, detail)),
        }
    }

    /// The same as text.
    pub(super) fn refusal(self) -> Option<String> {
        if self.total == 0 {
            return None;
        }
        let more = match self.total - self.shown.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Some(format!(
            "Stored resources violate the change, {} in all, so that nothing was changed. Correct them first: {}{more}.",
            self.total,
            self.shown.join("; ")
        ))
    }
}

/// Look at every resource of the types whose rules became narrower, and at the values that are to become unique; 409
/// with a list of what violates the new registry.
pub(super) fn check(
    reader: &impl Read,
    registry: &Registry,
    narrowed: &BTreeSet<String>,
    keys: &BTreeMap<String, Vec<Keyed>>,
) -> Result<()> {
    let mut violations = Violations::default();
    for resource_type in registry.resource_types.iter() {
        let unique: Vec<&Keyed> =
            keys.get(&*resource_type.name).into_iter().flatten().filter(|keyed| keyed.unique).collect();
        let narrowed = narrowed.contains(&*resource_type.name);
        if unique.is_empty() && !narrowed {
            continue;
        }
        let ranges: Vec<KeyRange> = unique.iter().map(|keyed| keys::keyed(keyed)).collect();
        // A hash of each value is enough to find the few that could be equal, whatever their number.
        let mut hashes: Vec<u64> = Vec::new();
        each(reader, resource_type, |resource| {
            if let Some(why) = violation(resource_type, &resource).filter(|_| narrowed) {
                violations.add(resource_type, &resource.id, &why);
            }
            hashes.extend(repo::keys_within(resource_type, &resource, &ranges).0.iter().map(hash));
        })?;
        hashes.sort_unstable();
        let repeated: BTreeSet<u64> = hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        if repeated.is_empty() {
            continue;
        }
        let mut holders: BTreeMap<Key, String> = BTreeMap::new();
        each(reader, resource_type, |resource| {
            for key in repo::keys_within(resource_type, &resource, &ranges).0 {
                if !repeated.contains(&hash(&key)) {
                    continue;
                }
                match holders.get(&key) {
                    None => _ = holders.insert(key, resource.id.clone()),
                    Some(holder) => {
                        let names = unique.iter().zip(&ranges).filter(|(_, r)| r.start <= key && key < r.end);
                        let name = names.map(|(keyed, _)| keyed.attribute.as_str()).next().unwrap_or_default();
                        violations.add(resource_type, &resource.id, &format!("{name}: the same value as {holder}"));
                    }
                }
            }
        })?;
    }
    violations.into_result()
}

/// Every resource of a type, in batches.
fn each(reader: &impl Read, resource_type: &ResourceType, mut found: impl FnMut(Resource)) -> Result<()> {
    let mut range = keys::documents(resource_type);
    loop {
        let entries = reader.entries(&range, false, limits::SCAN_BATCH)?;
        let Some(last) = entries.last() else { return Ok(()) };
        range = keys::after(&range, &last.key);
        for entry in &entries {
            found(repo::decode(&keys::last_part(&entry.key), &entry.value)?);
        }
    }
}

fn hash(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Why a stored resource is not one that its type would take.
pub(super) fn violation(resource_type: &ResourceType, resource: &Resource) -> Option<String> {
    let document = &resource.attributes;
    for (name, value) in document {
        let found = match resource_type.extensions.iter().find(|e| e.schema.id == *name) {
            Some(extension) => {
                let none = Object::new();
                let object = value.as_object().unwrap_or(&none);
                let schema = &extension.schema;
                let known = |name: &str| schema.attributes.iter().find(|a| a.name == name);
                object.iter().find_map(|(key, value)| stray(known(key), value, &format!("{name}:{key}")))
            }
            None => {
                let known = |name: &str| {
                    let common = crate::schema::COMMON.iter();
                    common.chain(resource_type.schema.attributes.iter()).find(|a| a.name == name)
                };
                stray(known(name), value, name)
            }
        };
        if found.is_some() {
            return found;
        }
    }
    validate::document(resource_type, document).err().map(|error| error.detail)
}

/// What is wrong with one value: nothing defines it, or it is not of the type defined.
fn stray(attribute: Option<&Attribute>, value: &Value, place: &str) -> Option<String> {
    let Some(attribute) = attribute else { return Some(format!("{place}: it has a value, and would not be defined")) };
    if attribute.multi_valued != value.is_array() {
        let expected = if attribute.multi_valued { "several values" } else { "one value" };
        return Some(format!("{place}: it would take {expected}, and is stored otherwise"));
    }
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        value => std::slice::from_ref(value),
    };
    for element in elements {
        let Value::Object(parts) = element else { continue };
        for (key, part) in parts {
            let sub = attribute.sub_attributes.iter().find(|sub| sub.name == *key);
            if let Some(why) = stray(sub, part, &format!("{place}.{key}")) {
                return Some(why);
            }
        }
    }
    // What has become read-only keeps its values.
    if attribute.mutability == Mutability::ReadOnly {
        return None;
    }
    let mut compat = Compat::default();
    match validate::value(attribute, value.clone(), place, &mut compat) {
        Err(error) => Some(error.detail),
        // A value that is taken only as something else is not of this type.
        Ok(_) if compat.used().next().is_some() => Some(format!("{place}: the value has another type")),
        Ok(_) => None,
    }
}
