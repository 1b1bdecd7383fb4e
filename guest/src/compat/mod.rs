//! What real identity providers send beside the RFC: each tolerance named, reported and switchable.
//!
//! A tolerance is applied where a request is decoded, never later. Decoding calls [`Compat::accept`] with the tolerance it
//! needs; the tenant's [`Profile`] decides. The log record of a change tells which were used, and [`Sighting`]s, which
//! requests that changed nothing leave too, are what the operator's report is made of.
//!
//! docs/compat.md has the table of [`ITEMS`] for operators; a test keeps it equal.

mod piece;
mod profile;
mod tolerance;
pub mod urn;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use piece::{never_shown, piece};
pub use profile::Profile;
pub use tolerance::{ITEMS, Item, Tolerance};

use crate::error::{ErrorKind, Result, ScimError};

/// What the profile of a request refuses, and the tolerances that the request has needed.
#[derive(Clone, Debug, Default)]
pub struct Compat {
    refused: BTreeSet<Tolerance>,
    used: BTreeSet<Tolerance>,
    /// What places are told within: `Operations[2].data.` for an operation of a bulk request.
    within: String,
    /// Shared by all copies, for the report: copies are made for attempts and for the operations of a bulk request.
    seen: Rc<RefCell<BTreeMap<Tolerance, Sighting>>>,
}

/// A tolerance that a request has needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where in the request, for the first time.
    pub place: String,
    /// The profile refuses it.
    pub refused: bool,
}

impl Compat {
    /// A profile that refuses the listed tolerances; the default refuses none.
    pub fn refusing(refused: impl IntoIterator<Item = Tolerance>) -> Self {
        Self { refused: refused.into_iter().collect(), ..Self::default() }
    }

    /// Note that the request needs `tolerance` at `place`; 400 invalidValue where the profile refuses it, with the correct
    /// form and the item's name.
    pub fn accept(&mut self, tolerance: Tolerance, place: &str) -> Result<()> {
        let refused = self.refused.contains(&tolerance);
        let sighting = || Sighting { place: format!("{}{place}", self.within), refused };
        self.seen.borrow_mut().entry(tolerance).or_insert_with(sighting);
        if refused {
            let item = tolerance.item();
            return Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!("{place}: the tolerance `{}` is off; {}", item.id, item.correct),
            ));
        }
        self.used.insert(tolerance);
        Ok(())
    }

    /// The tolerances used so far, in a fixed order.
    pub fn used(&self) -> impl Iterator<Item = Tolerance> + '_ {
        self.used.iter().copied()
    }

    /// What has been needed so far, by this one and all its copies.
    pub fn seen(&self) -> BTreeMap<Tolerance, Sighting> {
        self.seen.borrow().clone()
    }

    /// The same profile for a part of the request whose places are told from within it.
    #[must_use]
    pub fn within(&self, place: &str) -> Self {
        Self { within: format!("{}{place}", self.within), ..self.clone() }
    }

    /// The same profile, to try something out that leaves no trace.
    #[must_use]
    pub fn trial(&self) -> Self {
        Self { seen: Rc::default(), ..self.clone() }
    }
}
