//! Resources in the store: documents, the unique index, secondary indexes, counters. Members are in `edges`.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::error::{ErrorKind, Result, ScimError};
use crate::password::Password;
use crate::resource::{Object, Resource, Timestamp};
use crate::schema::{ResourceType, Source, Target, Uniqueness, order};

use super::edges::EdgeCounter;
use super::{Entry, Key, KeyRange, Read, Store, Txn, Value, census, keys};

/// A resource with what the store knows of it beyond the document.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The document.
    pub resource: Resource,
    /// Changes of its edges so far, and whether it is a member of anything.
    pub edges: EdgeCounter,
    /// When its members last changed.
    pub members_modified: Option<Timestamp>,
}

impl Loaded {
    /// `meta.version` and the ETag (RFC 7644 §3.14). It has two parts, since the edges change without the document.
    pub fn version(&self) -> String {
        format!("W/\"{}.{}\"", self.resource.revision, self.edges.revision())
    }

    /// `meta.lastModified`
    pub fn modified(&self) -> Timestamp {
        self.resource.modified.max(self.members_modified.unwrap_or(0))
    }
}

/// Read a resource that is about to change: its document must be the same at the commit.
pub fn read<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, id: &str) -> Result<Loaded> {
    let document = match keys::is_id(id) {
        true => txn.read_one(&keys::document(resource_type, id))?,
        false => None,
    };
    let Some(document) = document else { return Err(not_found(resource_type, id)) };
    let stamps = txn.peek(&stamp_keys(resource_type, id))?;
    loaded(decode(id, &document)?, &stamps)
}

/// 404 for this resource.
pub fn not_found(resource_type: &ResourceType, id: &str) -> ScimError {
    ScimError::new(
        ErrorKind::NotFound,
        format!("{} `{id}` does not exist: it was never created here, or has been deleted.", resource_type.name),
    )
}

/// Write a new or changed document with everything that hangs on it. `old` is the document that `read` returned.
///
/// 409 uniqueness if another resource holds one of its unique values (RFC 7644 §3.3.1, §3.5.1).
pub fn write<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    old: Option<&Resource>,
    new: &Resource,
) -> Result<()> {
    claim_unique_values(txn, resource_type, old, new)?;
    let before = old.map(|old| index_keys(resource_type, old)).unwrap_or_default();
    let after = index_keys(resource_type, new);
    for key in before.difference(&after) {
        txn.delete(key.clone());
    }
    for key in after.difference(&before) {
        txn.put(key.clone(), Vec::new());
    }
    txn.put(keys::document(resource_type, &new.id), Document::encode(resource_type, new)?);
    let display = old.map(|old| display(resource_type, &old.attributes));
    if display.as_deref() != Some(self::display(resource_type, &new.attributes).as_str()) {
        txn.put(keys::alive(&new.id), alive_value(resource_type, &new.attributes));
    }
    if old.is_none() {
        census::enter(txn, resource_type, &new.id);
    }
    Ok(())
}

/// Remove a document with everything that hangs on it but its edges.
pub fn remove<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, old: &Resource) -> Result<()> {
    for (_, _, key) in unique_values(resource_type, &old.attributes) {
        txn.delete(key);
    }
    for key in index_keys(resource_type, old) {
        txn.delete(key);
    }
    txn.delete(keys::document(resource_type, &old.id));
    txn.delete(keys::alive(&old.id));
    txn.delete(keys::password(&old.id));
    census::leave(txn, resource_type, &old.id)
}

/// Store the hash of a resource's password, or remove it. Returns whether that changes anything.
pub fn set_password<S: Store>(txn: &mut Txn<'_, S>, id: &str, password: &Password) -> Result<bool> {
    let key = keys::password(id);
    match password {
        Password::Kept => return Ok(false),
        Password::Set(hash) => txn.put(key, hash.as_bytes().to_vec()),
        Password::Removed if txn.read_one(&key)?.is_none() => return Ok(false),
        Password::Removed => txn.delete(key),
    }
    Ok(true)
}

/// A stored document: a header of fixed form, then the attributes as JSON, so that a response can be made of it without
/// decoding what it only passes on.
///
/// Header: format (1 byte), created, modified, revision, bytes of the attributes (8 bytes each, little-endian), the URNs of
/// the extensions that have attributes, each ended by a NUL byte, and one more NUL byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    created: Timestamp,
    modified: Timestamp,
    revision: u64,
    /// The URNs of the extensions that have attributes.
    pub extensions: Vec<String>,
    /// The attributes as a JSON object.
    pub attributes: Vec<u8>,
}

const FORMAT: u8 = 3;

impl Document {
    fn encode(resource_type: &ResourceType, resource: &Resource) -> Result<Vec<u8>> {
        let attributes = serde_json::to_vec(&resource.attributes).map_err(|error| {
            ScimError::new(ErrorKind::Internal, "The server failed to store a resource.").with_log(error.to_string())
        })?;
        let mut bytes = Vec::with_capacity(attributes.len() + 128);
        bytes.push(FORMAT);
        for number in [resource.created, resource.modified, resource.revision, attributes.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for urn in
            resource_type.extensions.iter().map(|e| &*e.schema.id).filter(|urn| resource.attributes.contains_key(*urn))
        {
            bytes.extend_from_slice(urn.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        bytes.extend_from_slice(&attributes);
        Ok(bytes)
    }

    /// The parts of a stored document, its attributes still as text.
    pub fn decode(id: &str, bytes: &[u8]) -> Result<Self> {
        // Its format is ours, so the store has not kept it as it was put, or gives something else.
        const WHY: &str =
            "storage.get, storage.scan or storage.read answers with a value that is cut short or of another format";
        Self::split(bytes).ok_or_else(|| unreadable(id, WHY))
    }

    fn split(bytes: &[u8]) -> Option<Self> {
        let (format, mut rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let mut number = || {
            let (number, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let (created, modified, revision, length) = (number()?, number()?, number()?, number()?);
        let mut extensions = Vec::new();
        loop {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let urn = std::str::from_utf8(&rest[..end]).ok()?;
            rest = &rest[end + 1..];
            if urn.is_empty() {
                // A response takes them over as they are: a value that the store has cut short must not pass for whole.
                (u64::try_from(rest.len()) == Ok(length)).then_some(())?;
                return Some(Self { created, modified, revision, extensions, attributes: rest.to_vec() });
            }
            extensions.push(urn.to_owned());
        }
    }

    /// The resource, its attributes read.
    pub fn resource(&self, id: &str) -> Result<Resource> {
        let attributes =
            serde_json::from_slice(&self.attributes).map_err(|error| unreadable(id, &error.to_string()))?;
        let Self { created, modified, revision, .. } = *self;
        Ok(Resource { id: id.to_owned(), attributes, created, modified, revision })
    }
}

/// A resource as it is stored: its document is read only by those who must look into it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its document.
    pub document: Document,
    /// All but the attributes.
    pub shell: Loaded,
}

impl Stored {
    fn new(id: &str, document: &[u8], stamps: &[Option<Vec<u8>>]) -> Result<Self> {
        let document = Document::decode(id, document)?;
        let Document { created, modified, revision, .. } = document;
        let resource = Resource { id: id.to_owned(), attributes: Object::new(), created, modified, revision };
        Ok(Self { document, shell: loaded(resource, stamps)? })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.shell.resource.id
    }

    /// With its attributes, read.
    pub fn loaded(&self) -> Result<Loaded> {
        Ok(Loaded { resource: self.document.resource(self.id())?, ..self.shell.clone() })
    }
}

/// Read resources by id, in the order given; `None` for those that don't exist.
pub fn peek(reader: &impl Read, resource_type: &ResourceType, ids: &[String]) -> Result<Vec<Option<Stored>>> {
    let claims: Vec<(&str, Option<Claim>)> = ids.iter().map(|id| (id.as_str(), None)).collect();
    peek_claimed(reader, resource_type, &claims)
}

/// The keys that [`peek`] reads for one id.
pub fn peeked(resource_type: &ResourceType, id: &str) -> Vec<Key> {
    let mut keys = vec![keys::document(resource_type, id)];
    keys.extend(stamp_keys(resource_type, id));
    keys
}

/// A key that leads to a resource, and what it must map to for it to do so.
pub type Claim = (Key, Value);

/// The same, where a claim that is there no longer counts as if the resource weren't: whoever came by its id through an
/// index or a unique value need not look into the document, since all is read at once.
pub fn peek_claimed(
    reader: &impl Read,
    resource_type: &ResourceType,
    ids: &[(&str, Option<Claim>)],
) -> Result<Vec<Option<Stored>>> {
    let width = 1 + stamp_width(resource_type);
    let mut all = Vec::with_capacity(ids.len() * (width + 1));
    for (id, _) in ids {
        all.extend(peeked(resource_type, id));
    }
    all.extend(ids.iter().filter_map(|(_, claim)| claim.as_ref().map(|(key, _)| key.clone())));
    let values = reader.peek(&all)?;
    let (values, claimed) = values.split_at(ids.len() * width);
    let mut claimed = claimed.iter();
    let mut found = Vec::with_capacity(ids.len());
    for ((id, claim), values) in ids.iter().zip(values.chunks(width)) {
        let holds = match claim {
            Some((_, expected)) => claimed.next().is_some_and(|value| value.as_ref() == Some(expected)),
            None => true,
        };
        let document = values[0].as_ref().filter(|_| holds);
        found.push(document.map(|document| Stored::new(id, document, &values[1..])).transpose()?);
    }
    Ok(found)
}

/// The resources whose documents were just scanned, with what the store knows beyond them.
pub fn stamp(reader: &impl Read, resource_type: &ResourceType, documents: &[Entry]) -> Result<Vec<Stored>> {
    let ids: Vec<String> = documents.iter().map(|entry| keys::last_part(&entry.key)).collect();
    let all: Vec<Key> = ids.iter().flat_map(|id| stamp_keys(resource_type, id)).collect();
    let stamps = reader.peek(&all)?;
    let found = ids.iter().zip(documents).zip(stamps.chunks(stamp_width(resource_type)));
    found.map(|((id, entry), stamps)| Stored::new(id, &entry.value, stamps)).collect()
}

/// A stored document, read.
pub fn decode(id: &str, bytes: &[u8]) -> Result<Resource> {
    Document::decode(id, bytes)?.resource(id)
}

fn unreadable(id: &str, why: &str) -> ScimError {
    ScimError::new(ErrorKind::Internal, "The server failed to read a stored resource.")
        .with_log(format!("document {id}: {why}"))
}

/// What a resource is called where others refer to it: its `displayName`, else its first unique attribute.
pub fn display(resource_type: &ResourceType, attributes: &Object) -> String {
    let unique = resource_type.schema.attributes.iter().find(|a| a.uniqueness != Uniqueness::None);
    let mut names = ["displayName"].into_iter().chain(unique.map(|a| a.name.as_ref()));
    let found = names.find_map(|name| attributes.get(name)?.as_str());
    found.unwrap_or_default().to_owned()
}

/// The value of [`keys::alive`] and of a member edge.
pub fn alive_value(resource_type: &ResourceType, attributes: &Object) -> Vec<u8> {
    let mut value = resource_type.name.as_bytes().to_vec();
    value.push(0);
    value.extend_from_slice(display(resource_type, attributes).as_bytes());
    value
}

/// The type's name and the display name in such a value.
pub fn split_alive(value: &[u8]) -> (String, String) {
    let at = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&value[..at]), text(value.get(at + 1..).unwrap_or_default()))
}

fn claim_unique_values<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    old: Option<&Resource>,
    new: &Resource,
) -> Result<()> {
    let before = old.map(|old| unique_values(resource_type, &old.attributes)).unwrap_or_default();
    let after = unique_values(resource_type, &new.attributes);
    let claimed: Vec<_> = after.iter().filter(|(_, _, key)| !before.iter().any(|(_, _, k)| k == key)).collect();
    let mut asked: Vec<Key> = claimed.iter().map(|(_, _, key)| key.clone()).collect();
    asked.extend(old.is_none().then(|| keys::alive(&new.id)));
    let mut holders = txn.read(&asked)?;
    // Asserting that the id is new keeps a repeated random number from overwriting somebody.
    if old.is_none() && holders.pop().flatten().is_some() {
        return Err(ScimError::new(ErrorKind::Unavailable, "The new id is taken. Repeat the request.")
            .with_log(format!("id {} was generated twice", new.id)));
    }
    for ((target, value, key), holder) in claimed.into_iter().zip(holders) {
        // A value may be held by the resource itself, under another spelling.
        if holder.is_some_and(|holder| holder != new.id.as_bytes()) {
            let name = target.name();
            return Err(ScimError::new(
                ErrorKind::Uniqueness,
                format!(
                    "{name}: another {} already has the value \"{value}\". Choose another value, or match the existing \
                     {} with filter={name} eq \"…\".",
                    resource_type.name, resource_type.name
                ),
            ));
        }
        txn.put(key.clone(), new.id.clone().into_bytes());
    }
    for (_, _, key) in before.into_iter().filter(|(_, _, key)| !after.iter().any(|(_, _, k)| k == key)) {
        txn.delete(key);
    }
    Ok(())
}

/// The values of unique attributes with their keys, each once.
fn unique_values<'t>(resource_type: &'t ResourceType, attributes: &Object) -> Vec<(Target<'t>, String, Key)> {
    let mut found: Vec<(Target<'t>, String, Key)> = Vec::new();
    for target in resource_type.targets().filter(Target::is_unique) {
        each_text(attributes, &target, &mut |value, text| {
            let key = keys::unique(resource_type, &target, text);
            if !found.iter().any(|(_, _, other)| *other == key) {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                found.push((target, shown, key));
            }
        });
    }
    found
}

/// The keys of all secondary indexes that a resource is in.
fn index_keys(resource_type: &ResourceType, resource: &Resource) -> BTreeSet<Key> {
    let mut found = BTreeSet::new();
    for target in resource_type.targets().filter(|target| resource_type.keeps(target.leaf())) {
        let mut absent = target.is_single();
        let mut add = |text: &str| {
            found.insert(keys::index(resource_type, &target, text, &resource.id));
            absent = false;
        };
        match target.leaf().source {
            Source::Modified => add(&order::instant(i128::from(resource.modified) * NANOSECONDS)),
            _ => each_text(&resource.attributes, &target, &mut |_, text| add(text)),
        }
        if absent {
            found.insert(keys::index_absent(resource_type, &target, &resource.id));
        }
    }
    found
}

/// In a millisecond.
const NANOSECONDS: i128 = 1_000_000;

/// All keys of a resource that fall into one of `ranges`: unique values, and entries of secondary indexes.
pub fn keys_within(resource_type: &ResourceType, resource: &Resource, ranges: &[KeyRange]) -> (Vec<Key>, Vec<Key>) {
    let within = |key: &Key| ranges.iter().any(|range| range.start <= *key && *key < range.end);
    let unique = unique_values(resource_type, &resource.attributes).into_iter().map(|(_, _, key)| key);
    (unique.filter(within).collect(), index_keys(resource_type, resource).into_iter().filter(within).collect())
}

/// Each value that a target has in a document, and the text that stands for it in keys.
pub(super) fn each_text(attributes: &Object, target: &Target<'_>, found: &mut impl FnMut(&Json, &str)) {
    let object = match target.extension {
        None => Some(attributes),
        Some(extension) => attributes.get(extension.id.as_ref()).and_then(Json::as_object),
    };
    let value = object.and_then(|o| o.get(target.attribute.name.as_ref()));
    for value in values(value) {
        let leaves = match target.sub {
            None => std::slice::from_ref(value),
            Some(sub) => values(value.get(sub.name.as_ref())),
        };
        for leaf in leaves {
            if let Some(text) = order::text(target.leaf(), leaf) {
                found(leaf, &text);
            }
        }
    }
}

fn values(value: Option<&Json>) -> &[Json] {
    match value {
        None => &[],
        Some(Json::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    }
}

fn stamp_keys(resource_type: &ResourceType, id: &str) -> Vec<Key> {
    let mut keys = vec![keys::edge_revision(id)];
    if resource_type.attribute_from(Source::Members).is_some() {
        keys.push(keys::members_modified(id));
    }
    keys
}

fn stamp_width(resource_type: &ResourceType) -> usize {
    if resource_type.attribute_from(Source::Members).is_some() { 2 } else { 1 }
}

fn loaded(resource: Resource, stamps: &[Option<Vec<u8>>]) -> Result<Loaded> {
    let at = |i: usize| stamps.get(i).and_then(Option::as_deref);
    let members_modified = match at(1) {
        Some(bytes) => Some(super::counter(Some(bytes))?.unsigned_abs()),
        None => None,
    };
    Ok(Loaded { resource, edges: EdgeCounter::decode(at(0))?, members_modified })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_beginning_of_a_document_is_a_whole_one() {
        let user = crate::schema::REGISTRY.by_name("User").unwrap();
        let serde_json::Value::Object(attributes) =
            serde_json::json!({ "userName": "}\\\"]{", "name": { "givenName": "a" }, "emails": [{}] })
        else {
            panic!("an object")
        };
        let resource = Resource { id: "x".into(), attributes, created: 1, modified: 2, revision: 3 };
        let whole = Document::encode(user, &resource).unwrap();
        assert_eq!(decode("x", &whole).as_ref(), Ok(&resource));
        for end in 0..whole.len() {
            assert!(Document::decode("x", &whole[..end]).is_err(), "{end}");
        }
        assert!(Document::decode("x", &[&whole[..], b"}"].concat()).is_err());
    }
}
