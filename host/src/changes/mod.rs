//! What was changed, for the application around the provider: told before the client gets its answer or soon after, and
//! readable again from the log.
//!
//! Every change of a tenant's data leaves a [`Record`] in the tenant's log, in the same commit. A [`ChangeHandler`], given to
//! [`Provider::on_change`](crate::Provider::on_change), gets each of them in the order of the commits, at least once:
//!
//! - It is delivered from the log, and the place in it that was reached is kept in the storage. What was committed by a process
//!   that ended before it could tell, or while the handler failed, is delivered by the next one, before `on_change` returns.
//! - A handler that fails gets the same record again, after ever longer pauses up to a minute, and each time that the tenant
//!   is written to. Until it succeeds, later records of that tenant wait; other tenants' don't.
//! - A record may come twice: after a crash between the handler's work and the note of it, and where several processes run on
//!   one storage. [`Record::sequence`] grows with every record of a tenant: a handler that stores it in the same
//!   transaction as its own work, and passes over what is not greater, works exactly once.
//!
//! Whoever would rather read the log at a pace of its own, or more than once, takes [`ChangeLog`] and keeps the place itself.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # use scimwell::{policy::AllowAll, storage::Memory, tokens::StaticToken};
//! use std::sync::{Arc, Mutex};
//! use scimwell::changes::{ChangeHandler, Delivery, HandlerError, Record};
//! use scimwell::{Config, Engine, Provider, Request};
//!
//! /// Ends the sessions of whoever is deactivated or deleted.
//! #[derive(Default)]
//! struct Sessions(Mutex<Vec<String>>);
//!
//! #[async_trait::async_trait]
//! impl ChangeHandler for Sessions {
//!     async fn changed(&self, record: &Record) -> Result<(), HandlerError> {
//!         let is_over = record.is_deletion() || record.value("active") == Some(&false.into());
//!         if record.resource_type == "User" && is_over {
//!             self.0.lock().map_err(|error| error.to_string())?.retain(|holder| *holder != record.id);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let component = scimwell::component().ok_or("run `cargo xtask build` first")?;
//! let engine = Arc::new(Engine::new(component, Config::default())?);
//! let token = Arc::new(StaticToken::new("T", "acme"));
//! let sessions = Arc::new(Sessions::default());
//! let provider = Provider::new(engine, Arc::new(Memory::new()), token, Arc::new(AllowAll))
//!     .on_change(sessions.clone(), Delivery::BeforeReply)
//!     .await?;
//!
//! let request = |method: &str, target: &str, body: &str| Request {
//!     method: method.to_owned(),
//!     target: target.to_owned(),
//!     headers: vec![("authorization".to_owned(), "Bearer T".to_owned())],
//!     body: body.as_bytes().to_vec(),
//!     base_url: "https://example.com/scim/v2".to_owned(),
//!     ..Request::default()
//! };
//! let created = provider.handle(request("POST", "/Users", r#"{"userName": "ann"}"#)).await;
//! let location = created.headers.iter().find(|(name, _)| name == "location").ok_or("no location")?;
//! let id = location.1.rsplit('/').next().unwrap_or_default();
//! sessions.0.lock().unwrap().push(id.to_owned());
//!
//! provider.handle(request("DELETE", &format!("/Users/{id}"), "")).await;
//! assert!(sessions.0.lock().unwrap().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod delivery;
mod log;
mod position;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) use self::delivery::{Deliveries, Outstanding};
pub use self::log::{ChangeLog, Page};

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Operation {
    /// POST
    Create,
    /// PUT
    Replace,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// What a component newer than this host calls otherwise.
    #[serde(other)]
    Other,
}

/// What a creation was instead, where the tenant's setting `reprovisioning` has it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reprovisioned {
    /// Of a resource that was deactivated; the operation is [`Operation::Replace`].
    Reactivated,
    /// Of a resource that was deleted; the operation is [`Operation::Create`], of an id that was there before.
    Restored,
    /// What a component newer than this host calls otherwise.
    #[serde(other)]
    Other,
}

/// One record of a tenant's log. Documents hold no secrets, so neither does a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Record {
    /// Whose data.
    #[serde(default)]
    pub tenant: String,
    /// Greater than that of every earlier record of the tenant; not always by one.
    pub sequence: u64,
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub time: u64,
    /// Who: the principal's subject.
    pub subject: String,
    /// What.
    pub operation: Operation,
    /// The resource type's name, `User` for example; `Settings`, `Schema` or `ResourceType` where the tenant's configuration changed.
    pub resource_type: String,
    /// The resource's id.
    pub id: String,
    /// Top-level attributes that changed, as they were; nothing at a creation.
    #[serde(default)]
    pub before: Map<String, Value>,
    /// The same attributes as they are; nothing at a deletion.
    #[serde(default)]
    pub after: Map<String, Value>,
    /// Ids of members that came to a group.
    #[serde(default)]
    pub added: Vec<String>,
    /// Ids of members that went.
    #[serde(default)]
    pub removed: Vec<String>,
    /// The password was set or removed. What it is or was is told nowhere.
    #[serde(default)]
    pub password_changed: bool,
    /// A POST has brought back somebody who had left.
    #[serde(default)]
    pub reprovisioned: Option<Reprovisioned>,
    /// The record goes on with the members of the one before it.
    #[serde(default)]
    pub continued: bool,
}

impl Record {
    /// Whether the resource is gone.
    pub fn is_deletion(&self) -> bool {
        self.operation == Operation::Delete
    }

    /// The new value of a top-level attribute that this change touched: null where it has none any more (RFC 7643 §2.5), `None`
    /// where the change left it alone.
    pub fn value(&self, attribute: &str) -> Option<&Value> {
        match self.after.get(attribute) {
            None if self.before.contains_key(attribute) => Some(&Value::Null),
            found => found,
        }
    }
}

/// Why a handler could not take a change over; for logs only.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The application's answer to changes: it keeps its own tables true, ends sessions, sends events.
#[async_trait]
pub trait ChangeHandler: Send + Sync + 'static {
    /// Takes over one change that is committed. One call at a time for each tenant, in the order of the log.
    ///
    /// An error or a panic has the same record delivered again later, and keeps back those that follow. What can never be taken
    /// over should be noted and answered with `Ok`.
    ///
    /// It must not wait for a change that it makes itself to the same tenant through the provider: that one is told after this.
    async fn changed(&self, record: &Record) -> Result<(), HandlerError>;
}

/// When a change is told to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Before the client gets its answer: who reads that a user is deactivated may rely on it that the sessions are over.
    ///
    /// The answer waits until the handler has taken the change over or has failed once, and no longer than a request may take.
    /// It stays what it is if the handler fails: the change is made, and an error would have the client repeat it. The
    /// log says so, and the record is delivered again.
    BeforeReply,
    /// As soon as possible, without any answer waiting for it.
    Background,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: &str, attribute: &str, expect: Option<&Value>) {
        let record: Record = serde_json::from_str(record).unwrap();
        assert_eq!(record.value(attribute), expect);
    }

    #[test]
    fn values() {
        let record = r#"{"sequence":7,"time":1,"subject":"s","operation":"patch","resourceType":"User","id":"1",
            "before":{"title":"x","active":true},"after":{"active":false}}"#;
        check(record, "active", Some(&Value::Bool(false)));
        check(record, "title", Some(&Value::Null));
        check(record, "userName", None);
    }

    #[test]
    fn records_of_a_newer_component() {
        let record =
            r#"{"sequence":7,"time":1,"subject":"s","operation":"restore","resourceType":"User","id":"1","why":"?"}"#;
        let record: Record = serde_json::from_str(record).unwrap();
        assert_eq!((record.operation, record.is_deletion()), (Operation::Other, false));
    }

    #[test]
    fn who_came_back() {
        let came_back = |word: &str| {
            let record = format!(
                r#"{{"sequence":7,"time":1,"subject":"s","operation":"create","resourceType":"User","id":"1"{word}}}"#
            );
            serde_json::from_str::<Record>(&record).unwrap().reprovisioned
        };
        assert_eq!(came_back(""), None);
        assert_eq!(came_back(r#","reprovisioned":"reactivated""#), Some(Reprovisioned::Reactivated));
        assert_eq!(came_back(r#","reprovisioned":"restored""#), Some(Reprovisioned::Restored));
        assert_eq!(came_back(r#","reprovisioned":"remembered""#), Some(Reprovisioned::Other));
    }
}
