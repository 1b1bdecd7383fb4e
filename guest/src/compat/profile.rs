//! Which tolerances a tenant wants: a set by name, with single items switched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Compat, ITEMS, Tolerance};

/// A set of tolerances by name. A provider's set follows from [`super::Item::sent_by`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything that can be read in one way only.
    #[default]
    Auto,
    /// Nothing beyond the RFCs.
    Strict,
    /// Okta
    Okta,
    /// Microsoft Entra ID
    Entra,
    /// `OneLogin`
    OneLogin,
    /// Ping Identity
    Ping,
    /// `JumpCloud`
    JumpCloud,
    /// Google Workspace
    Google,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Auto, Self::Strict, Self::Okta, Self::Entra, Self::OneLogin, Self::Ping, Self::JumpCloud, Self::Google];

    /// Whether the profile accepts an item.
    pub fn accepts(self, tolerance: Tolerance) -> bool {
        match self {
            Self::Auto => true,
            Self::Strict => false,
            provider => tolerance.item().sent_by.contains(&provider),
        }
    }

    /// What its documentation calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Okta => "Okta",
            Self::Entra => "Entra ID",
            Self::OneLogin => "OneLogin",
            Self::Ping => "Ping",
            Self::JumpCloud => "JumpCloud",
            Self::Google => "Google Workspace",
        }
    }

    /// The start of a request under this profile, with single items switched on or off.
    pub fn compat(self, switched: &BTreeMap<Tolerance, bool>) -> Compat {
        let accepted = |tolerance| switched.get(&tolerance).copied().unwrap_or_else(|| self.accepts(tolerance));
        let refused: BTreeSet<Tolerance> =
            ITEMS.iter().map(|item| item.tolerance).filter(|tolerance| !accepted(*tolerance)).collect();
        Compat::refusing(refused)
    }
}
