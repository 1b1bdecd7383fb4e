//! `scimwell export | import | backup | restore`: data in and out.
//!
//! Export and import are SCIM requests like any client's ([`scim`]): all is validated, unique, reviewed and logged as ever, and
//! nothing reaches the storage by another way. Backup and restore copy the embedded database as it is.

mod backup;
mod checkpoint;
mod export;
mod import;
mod link;
mod load;
mod options;
mod path;
mod progress;
mod record;
mod restore;
mod scim;
mod shape;
mod source;

pub use self::options::{BackupOptions, ExportOptions, ImportOptions, OnConflict, RestoreOptions};
pub use self::source::Format;

pub(super) use self::backup::run as backup;
pub(super) use self::export::run as export;
pub(super) use self::import::run as import;
pub(super) use self::restore::run as restore;

/// Bytes in hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A SCIM filter that compares an attribute with a text (RFC 7644 §3.4.2.2), as a value of a query.
fn equal(attribute: &str, text: &str) -> String {
    super::target::encoded(&format!("{attribute} eq {}", serde_json::Value::from(text)))
}
