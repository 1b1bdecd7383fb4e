//! The log: one record for each change, in the same commit. Audit trail, events and delta queries all read it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compat::Tolerance;
use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::{Object, Timestamp};
use crate::schema::ResourceType;

use super::edges::Changed;
use super::{Store, Txn, keys};

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// POST
    Create,
    /// PUT
    Replace,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// One record. A change with more than [`limits::LOG_MEMBERS`] members continues in records of its own, each marked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// Who: the principal's subject.
    pub subject: String,
    /// What.
    pub operation: Operation,
    /// The resource type's name.
    pub resource_type: String,
    /// The resource.
    pub id: String,
    /// Top-level attributes that changed, as they were. Documents hold no secrets, so neither does the log.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub before: Object,
    /// The same attributes as they are.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub after: Object,
    /// Members that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Members that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Tolerances that the request needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerances: Vec<Tolerance>,
    /// The record goes on with the members of the one before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
}

/// Who changes what, and when: what a record says beside the change itself.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// The principal's subject.
    pub subject: &'a str,
    /// What was asked for.
    pub operation: Operation,
    /// Tolerances that the request needed.
    pub tolerances: Vec<Tolerance>,
}

/// Append the record of a change to the transaction.
pub fn append<S: Store>(
    txn: &mut Txn<'_, S>,
    cause: &Cause<'_>,
    resource_type: &ResourceType,
    id: &str,
    (before, after): (Option<&Object>, Option<&Object>),
    members: &Changed,
) -> Result<()> {
    let (before, after) = difference(before, after);
    let mut record = Record {
        time: cause.time,
        subject: cause.subject.to_owned(),
        operation: cause.operation,
        resource_type: resource_type.name.to_string(),
        id: id.to_owned(),
        before,
        after,
        added: Vec::new(),
        removed: Vec::new(),
        tolerances: cause.tolerances.clone(),
        continued: false,
    };
    let mut added = members.added.chunks(limits::LOG_MEMBERS);
    let mut removed = members.removed.chunks(limits::LOG_MEMBERS);
    loop {
        record.added = added.next().unwrap_or_default().to_vec();
        record.removed = removed.next().unwrap_or_default().to_vec();
        if record.continued && record.added.is_empty() && record.removed.is_empty() {
            return Ok(());
        }
        let value = serde_json::to_vec(&record).map_err(|error| {
            ScimError::new(ErrorKind::Internal, "The server failed to store a resource.").with_log(error.to_string())
        })?;
        txn.append(keys::log(), value);
        record.before = Object::new();
        record.after = Object::new();
        record.continued = true;
    }
}

/// The attributes that differ, as they were and as they are.
fn difference(before: Option<&Object>, after: Option<&Object>) -> (Object, Object) {
    let empty = Object::new();
    let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    let changed = |this: &Object, other: &Object| -> Object {
        let differs = |(name, value): &(&String, &Value)| other.get(*name) != Some(*value);
        this.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    (changed(before, after), changed(after, before))
}
