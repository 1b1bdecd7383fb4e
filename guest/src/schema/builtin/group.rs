//! The Group schema (RFC 7643 §4.2, representation in §8.7.1).
//!
//! `displayName` is required, as §4.2 says; the table of §8.7.1 contradicts it.
//!
//! `members.display` is the server's own and returned on request only (`attributes=members.display`): clients compare what
//! they sent with what they get, and a large group is a third smaller without it.

use std::borrow::Cow;

use super::{complex, reference, string};
use crate::schema::{Attribute, Schema, Source};

/// The core schema of groups.
pub(super) const SCHEMA: Schema = Schema {
    id: Cow::Borrowed("urn:ietf:params:scim:schemas:core:2.0:Group"),
    name: Cow::Borrowed("Group"),
    description: Cow::Borrowed("Group"),
    attributes: Cow::Borrowed(ATTRIBUTES),
};

static ATTRIBUTES: &[Attribute] = &[
    string("displayName", "A human-readable name for the Group. REQUIRED.").required().indexed().build(),
    complex("members", "A list of members of the Group.", MEMBERS).multi_valued().from(Source::Members).build(),
];

static MEMBERS: &[Attribute] = &[
    string("value", "Identifier of the member of this Group.").case_exact().immutable().build(),
    reference(
        "$ref",
        "The URI corresponding to a SCIM resource that is a member of this Group.",
        &[Cow::Borrowed("User"), Cow::Borrowed("Group")],
    )
    .immutable()
    .build(),
    string("display", "A human-readable name for the member, primarily used for display purposes.")
        .read_only()
        .requested()
        .build(),
    string("type", "A label indicating the type of resource, e.g., 'User' or 'Group'.")
        .canonical(&[Cow::Borrowed("User"), Cow::Borrowed("Group")])
        .immutable()
        .build(),
];
