//! The customers: companies, each with so many seats and an identity provider of its own.

use rusqlite::{OptionalExtension, params};
use scimwell::authenticator::Permissions;
use scimwell::storage::Storage;
use scimwell::tokens;

use crate::database::{Database, DatabaseError};

/// Seconds for which a customer's token holds.
const LIFETIME: u64 = 365 * 24 * 3600;

/// Takes a customer in; false where there is one of this name.
pub(crate) async fn create(database: &Database, name: &str, seats: u32) -> Result<bool, DatabaseError> {
    let name = name.to_owned();
    let created = database.write(move |db| {
        db.execute("INSERT INTO customer (name, seats) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![name, seats])
    });
    Ok(created.await?? > 0)
}

/// Sells seats, or takes them back; false where there is no such customer. Nobody who has a seat loses it.
pub(crate) async fn set_seats(database: &Database, name: &str, seats: u32) -> Result<bool, DatabaseError> {
    let name = name.to_owned();
    let set =
        database.write(move |db| db.execute("UPDATE customer SET seats = ?2 WHERE name = ?1", params![name, seats]));
    Ok(set.await?? > 0)
}

/// How many seats the customer has.
pub(crate) async fn seats(database: &Database, name: &str) -> Result<Option<u32>, DatabaseError> {
    let name = name.to_owned();
    let seats = database.read(move |db| {
        db.query_row("SELECT seats FROM customer WHERE name = ?1", params![name], |row| row.get(0)).optional()
    });
    seats.await
}

/// A token for the customer's identity provider: nobody can read it again.
pub(crate) async fn issue_token(storage: &dyn Storage, name: &str) -> scimwell::Result<String> {
    let expires = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let expires = expires.map_or(0, |now| now.as_secs()) + LIFETIME;
    let issued = tokens::issue(storage, name, "identity provider", Permissions::READ_WRITE, Some(expires)).await?;
    Ok(issued.secret)
}
