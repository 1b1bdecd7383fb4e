//! The checks: what each is called, what it would break, and how to fix it.

use std::fmt;

use clap::ValueEnum;

use super::exchange::Played;
use super::session::Session;
use super::{entra, google, jumpcloud, okta, onelogin, ping, rfc};

/// Whose requests are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Provider {
    /// The RFCs: what any client may rely on.
    Rfc,
    /// Okta.
    Okta,
    /// Microsoft Entra ID.
    Entra,
    /// OneLogin.
    #[value(name = "onelogin")]
    OneLogin,
    /// PingOne and PingFederate.
    Ping,
    /// JumpCloud.
    #[value(name = "jumpcloud")]
    JumpCloud,
    /// Google Workspace.
    Google,
}

impl Provider {
    /// As `--as` takes it, and as ids begin.
    pub fn id(self) -> &'static str {
        match self {
            Self::Rfc => "rfc",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::OneLogin => "onelogin",
            Self::Ping => "ping",
            Self::JumpCloud => "jumpcloud",
            Self::Google => "google",
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc => "RFC 7643/7644",
            Self::Okta => "Okta",
            Self::Entra => "Microsoft Entra ID",
            Self::OneLogin => "OneLogin",
            Self::Ping => "Ping Identity",
            Self::JumpCloud => "JumpCloud",
            Self::Google => "Google Workspace",
        }
    }
}

/// What a failure means in practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Severity {
    /// Only a careful client notices.
    Cosmetic,
    /// Provisioning works with restrictions, or some updates are lost.
    Degrades,
    /// Provisioning fails, or does harm.
    Breaks,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosmetic => "cosmetic",
            Self::Degrades => "degrades provisioning",
            Self::Breaks => "breaks provisioning",
        })
    }
}

/// One check.
pub struct Check {
    /// `PROVIDER-…`, stable.
    pub id: &'static str,
    /// Whose requests it plays.
    pub provider: Provider,
    /// What is done.
    pub title: &'static str,
    /// Where it is written: an RFC's section, or what the provider documents or is known to do.
    pub reference: &'static str,
    /// What a failure means.
    pub severity: Severity,
    /// What it would break in practice.
    pub breaks: &'static str,
    /// How to fix the server.
    pub fix: &'static str,
    /// The sequence.
    pub(super) play: fn(&mut Session) -> Played,
}

/// All checks, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Check> {
    let parts: [&'static [Check]; 15] = [
        rfc::discovery::CHECKS,
        rfc::users::CHECKS,
        rfc::patch::CHECKS,
        rfc::lists::CHECKS,
        rfc::errors::CHECKS,
        rfc::groups::CHECKS,
        rfc::options::CHECKS,
        rfc::races::CHECKS,
        okta::CHECKS,
        entra::users::CHECKS,
        entra::groups::CHECKS,
        onelogin::CHECKS,
        ping::CHECKS,
        jumpcloud::CHECKS,
        google::CHECKS,
    ];
    parts.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_name_the_provider_and_are_unique() {
        let mut seen = BTreeSet::new();
        for check in all() {
            let name = check.id.strip_prefix(check.provider.id()).and_then(|rest| rest.strip_prefix('-'));
            let name = name.unwrap_or_else(|| panic!("{} does not begin with {}-", check.id, check.provider.id()));
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
            assert!(seen.insert(check.id), "{} is there twice", check.id);
        }
        for provider in Provider::value_variants() {
            assert!(all().any(|check| check.provider == *provider), "no check plays {}", provider.name());
            assert_eq!(provider.to_possible_value().expect("none is hidden").get_name(), provider.id());
        }
    }

    #[test]
    fn texts_are_complete() {
        for check in all() {
            for text in [check.title, check.reference, check.breaks, check.fix] {
                assert!(text.len() > 5 && text.trim() == text, "{}: {text:?}", check.id);
            }
            for text in [check.breaks, check.fix] {
                assert!(text.ends_with('.'), "{}: {text:?} is no sentence", check.id);
            }
        }
    }
}
