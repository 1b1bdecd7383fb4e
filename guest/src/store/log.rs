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

/// What a creation was instead, where the tenant's setting `reprovisioning` has it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reprovisioned {
    /// Of a resource that was deactivated; the operation is `replace`.
    Reactivated,
    /// Of a resource that was deleted; the operation is `create`, of an id that was there before.
    Restored,
}

/// One record. A change with more than [`limits::LOG_MEMBERS`] members continues in records of its own, each marked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// Who: the principal's subject.
    pub subject: String,
    /// What.
    pub operation: Operation,
    /// The resource type's name.
    #[serde(alias = "resource_type")]
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
    /// The password was set or removed. What it is or was is told nowhere.
    #[serde(default, alias = "password_changed", skip_serializing_if = "std::ops::Not::not")]
    pub password_changed: bool,
    /// A POST has brought back somebody who had left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprovisioned: Option<Reprovisioned>,
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
    /// Whether it sets or removes the password.
    pub password_changed: bool,
    /// Whether it is a POST that has brought back somebody who had left.
    pub reprovisioned: Option<Reprovisioned>,
}

/// A change of the tenant's configuration, for [`append_configuration`].
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// `Settings`, `Schema` or `ResourceType`, in the place of a resource type's name.
    pub kind: &'a str,
    /// The schema's URN, the resource type's name; `settings`.
    pub id: &'a str,
    /// As it was.
    pub before: Option<&'a Object>,
    /// As it is.
    pub after: Option<&'a Object>,
}

/// Append the record of a change of the configuration.
pub fn append_configuration<S: Store>(
    txn: &mut Txn<'_, S>,
    time: Timestamp,
    subject: &str,
    change: &Configured<'_>,
) -> Result<()> {
    let operation = match (change.before, change.after) {
        (None, _) => Operation::Create,
        (_, None) => Operation::Delete,
        _ => Operation::Replace,
    };
    let (before, after) = difference(change.before, change.after);
    let record = Record {
        time,
        subject: subject.to_owned(),
        operation,
        resource_type: change.kind.to_owned(),
        id: change.id.to_owned(),
        before,
        after,
        added: Vec::new(),
        removed: Vec::new(),
        tolerances: Vec::new(),
        password_changed: false,
        reprovisioned: None,
        continued: false,
    };
    append_record(txn, &record)
}

fn append_record<S: Store>(txn: &mut Txn<'_, S>, record: &Record) -> Result<()> {
    let value = serde_json::to_vec(record).map_err(|error| {
        ScimError::new(ErrorKind::Internal, "The server failed to store a resource.").with_log(error.to_string())
    })?;
    txn.append(keys::log(), value);
    Ok(())
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
        password_changed: cause.password_changed,
        reprovisioned: cause.reprovisioned,
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
        append_record(txn, &record)?;
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
