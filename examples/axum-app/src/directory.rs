//! The users, kept as the identity providers say: each change that SCIM has committed comes here, once and in order.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use scimwell::changes::{ChangeHandler, HandlerError, Record};
use serde::Serialize;
use serde_json::Value;

use crate::database::{Database, DatabaseError};
use crate::seats::Seats;

/// A user as the application knows her; the SCIM document has more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "SCIM calls it so")]
pub(crate) struct User {
    pub(crate) user_name: String,
    pub(crate) display_name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) active: bool,
}

impl User {
    /// From the columns `user_name, display_name, email, active`.
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { user_name: row.get(0)?, display_name: row.get(1)?, email: row.get(2)?, active: row.get(3)? })
    }

    /// Takes over what the change has touched.
    fn apply(&mut self, record: &Record) {
        if let Some(name) = record.value("userName").and_then(Value::as_str) {
            name.clone_into(&mut self.user_name);
        }
        if let Some(name) = record.value("displayName") {
            self.display_name = name.as_str().map(str::to_owned);
        }
        if let Some(emails) = record.value("emails") {
            self.email = primary(emails);
        }
        if let Some(active) = record.value("active") {
            self.active = has_access(Some(active));
        }
    }
}

/// Whether `active` grants access: all but false does (RFC 7643 §4.1.1 leaves it open what its absence means).
pub(crate) fn has_access(active: Option<&Value>) -> bool {
    active.and_then(Value::as_bool) != Some(false)
}

/// The primary address, or else the first.
fn primary(emails: &Value) -> Option<String> {
    let emails = emails.as_array()?;
    let primary = emails.iter().find(|email| email["primary"] == true).or_else(|| emails.first())?;
    primary["value"].as_str().map(str::to_owned)
}

/// Keeps the user table and the sessions true.
pub(crate) struct Directory {
    database: Database,
    seats: Arc<Seats>,
}

impl Directory {
    pub(crate) fn new(database: Database, seats: Arc<Seats>) -> Self {
        Self { database, seats }
    }
}

#[async_trait]
impl ChangeHandler for Directory {
    async fn changed(&self, record: &Record) -> Result<(), HandlerError> {
        if record.resource_type != "User" {
            return Ok(());
        }
        let change = record.clone();
        let user = self.database.write(move |db| take_over(db, &change)).await??;
        if let Some(user) = user {
            self.seats.settle(&record.tenant, &user.user_name);
        }
        Ok(())
    }
}

/// Takes over one change and notes that it did, in one transaction: a record that comes twice changes nothing.
fn take_over(db: &Transaction<'_>, record: &Record) -> rusqlite::Result<Option<User>> {
    // No log has more records than SQLite can count.
    let sequence = i64::try_from(record.sequence).unwrap_or(i64::MAX);
    let noted =
        db.execute("UPDATE customer SET told = ?2 WHERE name = ?1 AND told < ?2", params![record.tenant, sequence])?;
    if noted == 0 {
        return Ok(None);
    }
    if record.is_deletion() {
        // Sessions go with the user: ON DELETE CASCADE.
        db.execute("DELETE FROM user WHERE customer = ?1 AND id = ?2", params![record.tenant, record.id])?;
        return Ok(None);
    }
    let found = db
        .query_row(
            "SELECT user_name, display_name, email, active FROM user WHERE customer = ?1 AND id = ?2",
            params![record.tenant, record.id],
            User::from_row,
        )
        .optional()?;
    let mut user = found.unwrap_or(User { active: true, ..User::default() });
    user.apply(record);
    db.execute(
        "INSERT INTO user VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (customer, id) DO UPDATE SET
         user_name = excluded.user_name, display_name = excluded.display_name, email = excluded.email, active = excluded.active",
        params![record.tenant, record.id, user.user_name, user.display_name, user.email, user.active],
    )?;
    if !user.active {
        db.execute("DELETE FROM session WHERE customer = ?1 AND user = ?2", params![record.tenant, record.id])?;
    }
    Ok(Some(user))
}

/// The users of a customer, by name.
pub(crate) async fn users(database: &Database, customer: &str) -> Result<Vec<User>, DatabaseError> {
    let customer = customer.to_owned();
    let users = database.read(move |db| {
        let mut statement = db.prepare_cached(
            "SELECT user_name, display_name, email, active FROM user WHERE customer = ?1 ORDER BY user_name",
        )?;
        statement.query_map(params![customer], User::from_row)?.collect()
    });
    users.await
}
