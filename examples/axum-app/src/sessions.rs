//! Who is signed in.
//!
//! How somebody proves who she is stands outside this example: a sign-on service, which has spoken OpenID Connect or SAML
//! with the customer's identity provider, asks for the session.

use std::fmt::Write as _;

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::database::{Database, DatabaseError};
use crate::directory::User;

/// A secret of 256 random bits.
pub(crate) fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Begins a session of a user with access; false where there is nobody of this name who has it.
pub(crate) async fn begin(
    database: &Database,
    token: &str,
    customer: &str,
    user_name: &str,
) -> Result<bool, DatabaseError> {
    let (hash, customer, user_name) = (digest(token), customer.to_owned(), user_name.to_owned());
    // One statement: nobody is deactivated between the look and the session.
    let begun = database.write(move |db| {
        db.execute(
            "INSERT INTO session SELECT ?1, customer, id FROM user WHERE customer = ?2 AND user_name = ?3 AND active",
            params![hash, customer, user_name],
        )
    });
    Ok(begun.await?? > 0)
}

/// Whose session it is: the customer and the user.
pub(crate) async fn holder(database: &Database, token: &str) -> Result<Option<(String, User)>, DatabaseError> {
    let hash = digest(token);
    let found = database.read(move |db| {
        db.prepare_cached(
            "SELECT user_name, display_name, email, active, user.customer
             FROM session JOIN user ON user.customer = session.customer AND user.id = session.user WHERE token_hash = ?1",
        )?
        .query_row(params![hash], |row| Ok((row.get(4)?, User::from_row(row)?)))
        .optional()
    });
    found.await
}

/// Ends a session.
pub(crate) async fn end(database: &Database, token: &str) -> Result<(), DatabaseError> {
    let hash = digest(token);
    database.write(move |db| db.execute("DELETE FROM session WHERE token_hash = ?1", params![hash])).await??;
    Ok(())
}
