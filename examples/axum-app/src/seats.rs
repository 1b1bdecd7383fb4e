//! The seat limit: no more users with access than the customer has paid for.
//!
//! A change is reviewed before it is committed, and the user table has it only afterwards. So a seat that was promised is
//! reserved until the user has it: of two who are created at once when one seat is left, one is refused.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use scimwell::policy::{Change, Policy, Refusal};
use serde_json::Value;

use crate::database::{Database, DatabaseError};
use crate::directory::has_access;

/// How long a seat stays reserved for somebody who does not come: the change lost a race, or was only rehearsed. Longer than
/// a request may take (`scimwell::Config::timeout`).
const RESERVED: Duration = Duration::from_secs(45);

/// Reviews who gets access.
pub(crate) struct Seats {
    database: Database,
    reserved: Mutex<Reserved>,
    /// One review counts at a time.
    turn: tokio::sync::Mutex<()>,
}

/// By customer, and the user's name in lower case: until when.
type Reserved = HashMap<String, HashMap<String, Instant>>;

impl Seats {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, reserved: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The user has what was reserved.
    pub(crate) fn settle(&self, customer: &str, user_name: &str) {
        let mut reserved = self.reserved();
        let Some(names) = reserved.get_mut(customer) else { return };
        names.remove(&user_name.to_lowercase());
        if names.is_empty() {
            reserved.remove(customer);
        }
    }

    /// Reserves a seat for the user; the number of all seats where none is left.
    async fn reserve(&self, customer: &str, user_name: &str) -> Result<Result<(), u32>, DatabaseError> {
        let _turn = self.turn.lock().await;
        let name = user_name.to_lowercase();
        let others = self.others(customer, &name);
        let asked = customer.to_owned();
        let counted = self.database.read(move |db| {
            let seats: Option<u32> = db
                .query_row("SELECT seats FROM customer WHERE name = ?1", params![asked], |row| row.get(0))
                .optional()?;
            let mut taken: u32 =
                db.query_row("SELECT count(*) FROM user WHERE customer = ?1 AND active", params![asked], |row| {
                    row.get(0)
                })?;
            let mut has_it =
                db.prepare_cached("SELECT 1 FROM user WHERE customer = ?1 AND user_name = ?2 AND active")?;
            for other in &others {
                // Who was taken over between the two looks is counted already.
                if !has_it.exists(params![asked, other])? {
                    taken += 1;
                }
            }
            Ok((seats.unwrap_or(0), taken))
        });
        let (seats, taken) = counted.await?;
        if taken >= seats {
            return Ok(Err(seats));
        }
        self.reserved().entry(customer.to_owned()).or_default().insert(name, Instant::now() + RESERVED);
        Ok(Ok(()))
    }

    /// For whom else a seat is reserved.
    fn others(&self, customer: &str, name: &str) -> Vec<String> {
        let now = Instant::now();
        let mut reserved = self.reserved();
        let Some(names) = reserved.get_mut(customer) else { return Vec::new() };
        names.retain(|_, until| *until > now);
        names.keys().filter(|other| *other != name).cloned().collect()
    }

    fn reserved(&self) -> MutexGuard<'_, Reserved> {
        // Each use leaves it whole.
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Policy for Seats {
    async fn review(&self, change: Change) -> Result<(), Refusal> {
        let Some(after) = change.after.as_deref().filter(|_| change.resource_type == "User") else { return Ok(()) };
        let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let after = document(after);
        let had_access = change.before.as_deref().is_some_and(|before| has_access(document(before).get("active")));
        if had_access || !has_access(after.get("active")) {
            return Ok(());
        }
        let user_name = after["userName"].as_str().unwrap_or_default();
        match self.reserve(&change.tenant, user_name).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(seats)) => Err(Refusal {
                status: 403,
                scim_type: None,
                detail: format!(
                    "no seats left: all {seats} seats of {} are taken. Deactivate a user who needs no access any more, or buy \
                     more seats; then provision {user_name} again.",
                    change.tenant
                ),
            }),
            Err(error) => {
                tracing::error!(%error, "seats can't be counted");
                let detail = "seats can't be counted for the moment; try again".to_owned();
                Err(Refusal { status: 429, scim_type: None, detail })
            }
        }
    }
}
