//! The enterprise extension of users (RFC 7643 §4.3, representation in §8.7.1).

use std::borrow::Cow;

use super::{complex, reference, string};
use crate::schema::{Attribute, Schema};

/// The extension's schema.
pub(super) const SCHEMA: Schema = Schema {
    id: Cow::Borrowed("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"),
    name: Cow::Borrowed("EnterpriseUser"),
    description: Cow::Borrowed("Enterprise User"),
    attributes: Cow::Borrowed(ATTRIBUTES),
};

static ATTRIBUTES: &[Attribute] = &[
    string(
        "employeeNumber",
        "Numeric or alphanumeric identifier assigned to a person, typically based on order of hire or association \
         with an organization.",
    )
    .build(),
    string("costCenter", "Identifies the name of a cost center.").build(),
    string("organization", "Identifies the name of an organization.").build(),
    string("division", "Identifies the name of a division.").build(),
    string("department", "Identifies the name of a department.").build(),
    complex(
        "manager",
        "The User's manager. A complex type that optionally allows service providers to represent organizational \
         hierarchy by referencing the 'id' attribute of another User.",
        MANAGER,
    )
    .build(),
];

static MANAGER: &[Attribute] = &[
    string("value", "The id of the SCIM resource representing the User's manager. REQUIRED.").case_exact().build(),
    reference(
        "$ref",
        "The URI of the SCIM resource representing the User's manager. REQUIRED.",
        &[Cow::Borrowed("User")],
    )
    .build(),
    string("displayName", "The displayName of the User's manager. OPTIONAL and READ-ONLY.").read_only().build(),
];
