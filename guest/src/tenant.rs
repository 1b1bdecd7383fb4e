//! What a tenant has configured. A tenant that has configured nothing costs one read that finds nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compat::{Compat, Profile, Tolerance};
use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::Timestamp;
use crate::schema::discovery::{Cursor, FEATURES, Features};
use crate::schema::{Definitions, Keyed, REGISTRY, Registry};
use crate::store::{Read, Store, Txn, keys};

/// In milliseconds.
const DAY: Timestamp = 24 * 60 * 60 * 1_000;

/// How the server behaves for one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Keep passwords, as argon2id hashes, instead of accepting and dropping them (`changePassword`).
    pub passwords: bool,
    /// What a PATCH answers.
    pub patch_reply: PatchReply,
    /// Refuse a second group of the same `displayName`, in any case.
    pub unique_group_names: bool,
    /// What a POST comes to that meets somebody who has left.
    pub reprovisioning: Reprovisioning,
    /// Days for which somebody who was deleted can be restored.
    pub restore_days: u32,
    /// Resources in a page where the client names no `count`.
    pub default_page_size: usize,
    /// Most resources in a page.
    pub max_page_size: usize,
    /// Seconds for which a cursor (RFC 9865) stays valid.
    pub cursor_seconds: u32,
    /// The attribute of User that holds the subject of a principal, for `/Me`; 501 where there is none.
    pub me_attribute: Option<String>,
    /// Which departures from the RFCs are accepted.
    pub profile: Profile,
    /// Single ones of them, accepted or refused whatever the profile says.
    pub tolerances: BTreeMap<Tolerance, bool>,
}

/// What a PATCH answers where the client doesn't say (RFC 7644 §3.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchReply {
    /// As the profile's provider expects it.
    #[default]
    Auto,
    /// 200 with the resource.
    Resource,
    /// 204 without a body.
    NoContent,
}

/// What a POST comes to that has a unique value or the `externalId` of a resource that is deactivated or deleted. One that is
/// active is in the way of its unique values whatever this says (RFC 7644 §3.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reprovisioning {
    /// 409 for a unique value of one that is deactivated; else a new resource.
    #[default]
    Conflict,
    /// One that is deactivated becomes what the POST says, and active.
    Reactivate,
    /// The same, and one that was deleted comes back with its id.
    Restore,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            passwords: false,
            patch_reply: PatchReply::Auto,
            unique_group_names: false,
            reprovisioning: Reprovisioning::Conflict,
            restore_days: limits::RESTORE_DAYS,
            default_page_size: limits::DEFAULT_PAGE,
            max_page_size: limits::MAX_PAGE,
            cursor_seconds: limits::CURSOR_SECONDS,
            me_attribute: None,
            profile: Profile::Auto,
            tolerances: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// `default_page_size`, but never more than there may be in a page.
    pub fn default_page_size(&self) -> usize {
        self.default_page_size.min(self.max_page_size)
    }

    /// The start of a request: what its decoding may accept.
    pub fn compat(&self) -> Compat {
        self.profile.compat(&self.tolerances)
    }

    /// Since when deletions are remembered at `now`, so that a POST may restore what was deleted; older ones are forgotten.
    pub fn deletions_since(&self, now: Timestamp) -> Timestamp {
        match self.reprovisioning {
            Reprovisioning::Restore => now.saturating_sub(u64::from(self.restore_days) * DAY),
            // None is, and those from before the setting was changed are forgotten too.
            Reprovisioning::Conflict | Reprovisioning::Reactivate => now.saturating_add(1),
        }
    }

    /// Whether a PATCH of a resource that may have members answers 204 without a body; of another one.
    pub fn patches_quietly(&self, with_members: bool) -> bool {
        match self.patch_reply {
            PatchReply::NoContent => true,
            PatchReply::Resource => false,
            // Entra ID expects 204 of a group's PATCH, and reads the body of a user's.
            PatchReply::Auto => self.profile == Profile::Entra && with_members,
        }
    }
}

/// A tenant's configuration, ready for use.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its settings.
    pub settings: Settings,
    /// Its resource types: the built-in ones, and its own.
    pub registry: Cow<'static, Registry>,
    /// Whether a change of the configuration still has work to do.
    pub unfinished: bool,
    /// The value of [`keys::tenant_version`] that belongs to all this.
    version: Option<Vec<u8>>,
}

/// What an administrator configures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// How the server behaves.
    pub settings: Settings,
    /// Schemas and resource types.
    #[serde(skip_serializing_if = "Definitions::is_empty")]
    pub definitions: Definitions,
}

/// The stored form: the configuration, and what is left to do before the data is as it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stored {
    /// Counts the changes, from 1.
    pub version: u64,
    /// What every write is validated against.
    pub configuration: Configuration,
    /// What is left to do, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<Work>,
    /// What to go back to where the work shows that stored data violates the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Configuration>,
}

/// A piece of work on stored data, done in bounded steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Look again at what was written, after this record of the log, while the old configuration still held.
    Recheck {
        /// A sequence number of the log.
        after: u64,
        /// Names of the resource types concerned.
        types: Vec<String>,
    },
    /// Make the keys of these attributes of one resource type, from the resource after this one on.
    Build {
        /// Whose keys.
        keys: Vec<Keyed>,
        /// The last resource that has them.
        after: Option<String>,
    },
    /// Remove these keys.
    Remove(Keyed),
}

impl Configuration {
    /// The resource types that it makes; 400 invalidValue where its parts don't fit together.
    pub fn registry(self) -> Result<Cow<'static, Registry>> {
        if self.definitions.is_empty() && !self.settings.unique_group_names {
            return Ok(Cow::Borrowed(&REGISTRY));
        }
        let mut registry = self.definitions.registry()?;
        if self.settings.unique_group_names {
            registry.make_unique("Group", "displayName");
        }
        Ok(Cow::Owned(registry))
    }
}

impl Stored {
    /// From the value of [`keys::tenant`].
    pub fn decode(bytes: Option<&[u8]>) -> Result<Self> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        serde_json::from_slice(bytes).map_err(|error| broken(&error.to_string()))
    }

    /// The value of [`keys::tenant`]; 413 where it is larger than every request should read.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).map_err(|error| broken(&error.to_string()))?;
        let size = serde_json::to_vec(&self.configuration).map_or(0, |bytes| bytes.len());
        match size > limits::CONFIGURATION_BYTES {
            true => Err(ScimError::new(
                ErrorKind::PayloadTooLarge,
                format!(
                    "The tenant's configuration would take {size} bytes, and at most {} are kept. Shorten descriptions, \
                     or take out schemas that are not needed.",
                    limits::CONFIGURATION_BYTES
                ),
            )),
            false => Ok(bytes),
        }
    }

    /// The value of [`keys::tenant_version`]; none before the first change.
    pub fn version_value(&self) -> Option<Vec<u8>> {
        (self.version > 0).then(|| self.version.to_le_bytes().to_vec())
    }

    /// Ready for use.
    pub fn into_tenant(self) -> Result<Tenant> {
        let version = self.version_value();
        let settings = self.configuration.settings.clone();
        let mut registry = self.configuration.registry().map_err(|error| broken(&error.detail))?;
        for keyed in self.work.iter().filter_map(|work| match work {
            Work::Build { keys, .. } => Some(keys),
            _ => None,
        }) {
            for keyed in keyed {
                registry.to_mut().mark_incomplete(keyed);
            }
        }
        Ok(Tenant { settings, registry, unfinished: !self.work.is_empty(), version })
    }
}

fn broken(why: &str) -> ScimError {
    ScimError::new(ErrorKind::Internal, "The server failed to read the tenant's configuration.").with_log(why)
}

impl Tenant {
    /// The tenant whose store this is. One read; a tenant that has configured nothing is the same static data for all.
    pub fn load(reader: &impl Read) -> Result<Self> {
        Stored::decode(reader.peek_one(keys::tenant())?.as_deref())?.into_tenant()
    }

    /// Have a transaction commit only if this configuration is still the tenant's, so that nothing validated against an
    /// old one slips in. `attempt` counts from 1: the first costs no read, and a later one tells a changed configuration
    /// from any other lost race.
    pub fn hold<S: Store>(&self, txn: &mut Txn<'_, S>, attempt: usize) -> Result<()> {
        if attempt == 1 {
            txn.assume(keys::tenant_version(), self.version.clone());
            return Ok(());
        }
        match txn.read_one(&keys::tenant_version())? == self.version {
            true => Ok(()),
            false => Err(ScimError::new(
                ErrorKind::Unavailable,
                "The tenant's configuration changed during the request; nothing was changed by it. Repeat it.",
            )),
        }
    }

    /// What ServiceProviderConfig advertises for it.
    pub fn features(&self) -> Features {
        Features {
            change_password: self.settings.passwords,
            cursor: Some(Cursor { timeout: Some(self.settings.cursor_seconds) }),
            default_page_size: self.settings.default_page_size(),
            max_page_size: self.settings.max_page_size,
            ..FEATURES
        }
    }
}
