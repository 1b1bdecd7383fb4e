//! The storage contract: its types, the rules that every storage applies alike, and the cases that tell whether a storage
//! keeps it.
//!
//! A storage is run through [`Case::ALL`] by way of [`Subject`]: natively by `scimwell::storage::contract`, and in any
//! language by the component that `shells/` makes of this crate. The cases are written once, here.
//!
//! Architecture invariant: nothing here does I/O, waits, or knows an async runtime; a caller that runs the parts of a race
//! at once brings its own.
//!
//! ```
//! use scimwell_storage_check::{Case, Subject, Verdict, run};
//!
//! async fn check(storage: impl Subject) -> Vec<(Case, Verdict)> {
//!     let mut verdicts = Vec::new();
//!     for case in Case::ALL {
//!         verdicts.push((*case, run(&storage, *case).await));
//!     }
//!     verdicts
//! }
//! ```

mod case;
mod cases;
mod rules;
mod space;
mod types;

pub use case::{Case, conclude, prepare, run, take_part};
pub use rules::{Leads, SEQUENCE, added, check_sizes, check_tenant};
pub use space::{ALL, Ended, Space, Subject, Verdict, broken, same};
pub use types::{
    Check, Entry, Key, KeyRange, MAX_COMMIT, MAX_KEY, MAX_TENANT, MAX_VALUE, Mutation, Outcome, Reading, ScanOptions,
    StoreError, Value,
};
