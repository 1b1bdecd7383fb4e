//! A resource as the core holds it.

use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// An object's JSON text.
pub fn text(object: &Object) -> String {
    serde_json::to_string(object).expect("JSON with string keys always serializes")
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = u64;

/// A resource without its edges (`members`, `groups`), which the store keeps apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Assigned by the server; never reused.
    pub id: String,
    /// Core attributes (and `externalId`) in their canonical spelling; each extension's attributes in an object under its
    /// URN. Never `id`, `meta`, `schemas` or an attribute whose source is not the document.
    pub attributes: Object,
    /// When it was created.
    pub created: Timestamp,
    /// When the document last changed.
    pub modified: Timestamp,
    /// Counts the document's changes, from 1.
    pub revision: u64,
}
