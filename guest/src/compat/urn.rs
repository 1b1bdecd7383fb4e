//! Schema URNs of SCIM 1.1 and of the drafts of 2.0, which some clients still send (RFC 7643 §10.3.1 has today's).

use super::{Compat, Tolerance};
use crate::error::Result;
use crate::schema::{ResourceType, Schema};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// An old URN, and those that took its place: the core schema of SCIM 1.1 was one for users and groups.
const LEGACY: [(&str, &[&str]); 8] = [
    ("urn:scim:schemas:core:1.0", &[USER, GROUP]),
    ("urn:scim:schemas:core:2.0", &[USER, GROUP]),
    ("urn:scim:schemas:core:2.0:User", &[USER]),
    ("urn:scim:schemas:core:2.0:Group", &[GROUP]),
    ("urn:scim:schemas:extension:enterprise:1.0", &[ENTERPRISE]),
    ("urn:scim:schemas:extension:enterprise:2.0", &[ENTERPRISE]),
    ("urn:scim:schemas:extension:enterprise:1.0:User", &[ENTERPRISE]),
    ("urn:scim:schemas:extension:enterprise:2.0:User", &[ENTERPRISE]),
];

/// The URNs that took the place of `urn`, in any case; none where it is no old one.
pub fn successors(urn: &str) -> &'static [&'static str] {
    LEGACY.iter().find(|(old, _)| old.eq_ignore_ascii_case(urn)).map_or(&[], |(_, new)| new)
}

/// The schema of a resource type that a URN names, in any case; an old URN stands for the schema that took its place.
pub fn schema<'s>(ty: &'s ResourceType, urn: &str, place: &str, compat: &mut Compat) -> Result<Option<&'s Schema>> {
    if let Some(schema) = ty.schemas().find(|schema| schema.id.eq_ignore_ascii_case(urn)) {
        return Ok(Some(schema));
    }
    let old = successors(urn);
    let Some(schema) = ty.schemas().find(|schema| old.contains(&schema.id.as_ref())) else { return Ok(None) };
    compat.accept(Tolerance::LegacyUrn, place)?;
    Ok(Some(schema))
}

/// The old URN at the start of a key, which goes on with a colon and a name or ends there, and what follows the colon.
/// Of two that fit, the longer: `…:core:2.0:User` before `…:core:2.0`.
pub fn split_legacy(key: &str) -> Option<(&'static [&'static str], Option<&str>)> {
    let fits = |old: &str| {
        let (head, rest) = key.split_at_checked(old.len())?;
        let rest = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        head.eq_ignore_ascii_case(old).then_some(rest)
    };
    let found = LEGACY.iter().filter_map(|(old, new)| Some((old.len(), *new, fits(old)?)));
    found.max_by_key(|(length, ..)| *length).map(|(_, new, rest)| (new, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_urns_lead_to_new_ones() {
        assert_eq!(successors("urn:scim:schemas:core:1.0"), [USER, GROUP]);
        assert_eq!(successors("URN:scim:schemas:extension:enterprise:1.0"), [ENTERPRISE]);
        assert!(successors(USER).is_empty());
    }

    #[test]
    fn the_longest_is_split_off() {
        assert_eq!(split_legacy("urn:scim:schemas:core:2.0:User:title"), Some((&[USER][..], Some("title"))));
        assert_eq!(split_legacy("urn:scim:schemas:core:2.0:title"), Some((&[USER, GROUP][..], Some("title"))));
        assert_eq!(split_legacy("urn:scim:schemas:extension:enterprise:1.0"), Some((&[ENTERPRISE][..], None)));
        assert_eq!(split_legacy("urn:scim:schemas:core:1.0x"), None);
        assert_eq!(split_legacy("title"), None);
    }
}
