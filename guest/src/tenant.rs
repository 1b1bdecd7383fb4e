//! What a tenant has configured. A tenant that has configured nothing costs one read that finds nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::schema::discovery::{Cursor, FEATURES, Features};
use crate::schema::{REGISTRY, Registry};
use crate::store::{Read, keys};

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
    /// Resources in a page where the client names no `count`.
    pub default_page_size: usize,
    /// Most resources in a page.
    pub max_page_size: usize,
    /// Seconds for which a cursor (RFC 9865) stays valid.
    pub cursor_seconds: u32,
    /// The attribute of User that holds the subject of a principal, for `/Me`; 501 where there is none.
    pub me_attribute: Option<String>,
}

/// What a PATCH answers where the client doesn't say (RFC 7644 §3.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchReply {
    /// 200 with the resource.
    #[default]
    Resource,
    /// 204 without a body.
    NoContent,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            passwords: false,
            patch_reply: PatchReply::Resource,
            unique_group_names: false,
            default_page_size: limits::DEFAULT_PAGE,
            max_page_size: limits::MAX_PAGE,
            cursor_seconds: limits::CURSOR_SECONDS,
            me_attribute: None,
        }
    }
}

impl Settings {
    /// `default_page_size`, but never more than there may be in a page.
    pub fn default_page_size(&self) -> usize {
        self.default_page_size.min(self.max_page_size)
    }
}

/// A tenant's configuration, ready for use.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its settings.
    pub settings: Settings,
    /// Its resource types: the built-in ones, and its own.
    pub registry: Cow<'static, Registry>,
}

/// The stored form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    settings: Settings,
}

impl Tenant {
    /// The tenant whose store this is.
    pub fn load(reader: &impl Read) -> Result<Self> {
        let stored: Stored = match reader.peek_one(keys::tenant())? {
            None => Stored::default(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                ScimError::new(ErrorKind::Internal, "The server failed to read the tenant's configuration.")
                    .with_log(error.to_string())
            })?,
        };
        Ok(Self { settings: stored.settings, registry: Cow::Borrowed(&REGISTRY) })
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
