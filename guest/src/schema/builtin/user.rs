//! The User schema (RFC 7643 §4.1, representation in §8.7.1).
//!
//! Beyond the RFC's table: `addresses.primary`, which §2.4 gives every multi-valued attribute and which clients send.
//! References, binaries and ids are `caseExact`, as §2.3.6, §2.3.7 and §3.1 say.

use std::borrow::Cow;

use super::{binary, boolean, complex, reference, string};
use crate::schema::{Attribute, Schema, Source};

/// The core schema of users.
pub(super) const SCHEMA: Schema = Schema {
    id: Cow::Borrowed("urn:ietf:params:scim:schemas:core:2.0:User"),
    name: Cow::Borrowed("User"),
    description: Cow::Borrowed("User Account"),
    attributes: Cow::Borrowed(ATTRIBUTES),
};

static ATTRIBUTES: &[Attribute] = &[
    string(
        "userName",
        "Unique identifier for the User, typically used by the user to directly authenticate to the service \
         provider. Each User MUST include a non-empty userName value. This identifier MUST be unique across the \
         service provider's entire set of Users. REQUIRED.",
    )
    .required()
    .unique()
    .indexed()
    .build(),
    complex(
        "name",
        "The components of the user's real name. Providers MAY return just the full name as a single string in the \
         formatted sub-attribute, or they MAY return just the individual component attributes using the other \
         sub-attributes, or they MAY return both. If both variants are returned, they SHOULD be describing the same \
         name, with the formatted name indicating how the component attributes should be combined.",
        NAME,
    )
    .build(),
    string(
        "displayName",
        "The name of the User, suitable for display to end-users. The name SHOULD be the full name of the User being \
         described, if known.",
    )
    .indexed()
    .build(),
    string(
        "nickName",
        "The casual way to address the user in real life, e.g., 'Bob' or 'Bobby' instead of 'Robert'. This attribute \
         SHOULD NOT be used to represent a User's username (e.g., 'bjensen' or 'mpepperidge').",
    )
    .build(),
    reference(
        "profileUrl",
        "A fully qualified URL pointing to a page representing the User's online profile.",
        &[Cow::Borrowed("external")],
    )
    .build(),
    string("title", "The user's title, such as \"Vice President.\"").build(),
    string(
        "userType",
        "Used to identify the relationship between the organization and the user. Typical values used might be \
         'Contractor', 'Employee', 'Intern', 'Temp', 'External', and 'Unknown', but any value may be used.",
    )
    .build(),
    string(
        "preferredLanguage",
        "Indicates the User's preferred written or spoken language. Generally used for selecting a localized user \
         interface; e.g., 'en_US' specifies the language English and country US.",
    )
    .build(),
    string(
        "locale",
        "Used to indicate the User's default location for purposes of localizing items such as currency, date time \
         format, or numerical representations.",
    )
    .build(),
    string("timezone", "The User's time zone in the 'Olson' time zone database format, e.g., 'America/Los_Angeles'.")
        .build(),
    boolean("active", "A Boolean value indicating the User's administrative status.").indexed().build(),
    string(
        "password",
        "The User's cleartext password. This attribute is intended to be used as a means to specify an initial \
         password when creating a new User or to reset an existing User's password.",
    )
    .write_only()
    .never_returned()
    .from(Source::Password)
    .build(),
    complex(
        "emails",
        "Email addresses for the user. The value SHOULD be canonicalized by the service provider, e.g., \
         'bjensen@example.com' instead of 'bjensen@EXAMPLE.COM'. Canonical type values of 'work', 'home', and \
         'other'.",
        EMAILS,
    )
    .multi_valued()
    .build(),
    complex(
        "phoneNumbers",
        "Phone numbers for the User. The value SHOULD be canonicalized by the service provider according to the \
         format specified in RFC 3966, e.g., 'tel:+1-201-555-0123'. Canonical type values of 'work', 'home', \
         'mobile', 'fax', 'pager', and 'other'.",
        PHONE_NUMBERS,
    )
    .multi_valued()
    .build(),
    complex("ims", "Instant messaging addresses for the User.", IMS).multi_valued().build(),
    complex("photos", "URLs of photos of the User.", PHOTOS).multi_valued().build(),
    complex(
        "addresses",
        "A physical mailing address for this User. Canonical type values of 'work', 'home', and 'other'. This \
         attribute is a complex type with the following sub-attributes.",
        ADDRESSES,
    )
    .multi_valued()
    .build(),
    complex(
        "groups",
        "A list of groups to which the user belongs, either through direct membership, through nested groups, or \
         dynamically calculated.",
        GROUPS,
    )
    .multi_valued()
    .read_only()
    .from(Source::Memberships)
    .build(),
    complex("entitlements", "A list of entitlements for the User that represent a thing the User has.", ENTITLEMENTS)
        .multi_valued()
        .build(),
    complex(
        "roles",
        "A list of roles for the User that collectively represent who the User is, e.g., 'Student', 'Faculty'.",
        ROLES,
    )
    .multi_valued()
    .build(),
    complex("x509Certificates", "A list of certificates issued to the User.", X509CERTIFICATES).multi_valued().build(),
];

static NAME: &[Attribute] = &[
    string(
        "formatted",
        "The full name, including all middle names, titles, and suffixes as appropriate, formatted for display \
         (e.g., 'Ms. Barbara J Jensen, III').",
    )
    .build(),
    string(
        "familyName",
        "The family name of the User, or last name in most Western languages (e.g., 'Jensen' given the full name \
         'Ms. Barbara J Jensen, III').",
    )
    .build(),
    string(
        "givenName",
        "The given name of the User, or first name in most Western languages (e.g., 'Barbara' given the full name \
         'Ms. Barbara J Jensen, III').",
    )
    .build(),
    string(
        "middleName",
        "The middle name(s) of the User (e.g., 'Jane' given the full name 'Ms. Barbara J Jensen, III').",
    )
    .build(),
    string(
        "honorificPrefix",
        "The honorific prefix(es) of the User, or title in most Western languages (e.g., 'Ms.' given the full name \
         'Ms. Barbara J Jensen, III').",
    )
    .build(),
    string(
        "honorificSuffix",
        "The honorific suffix(es) of the User, or suffix in most Western languages (e.g., 'III' given the full name \
         'Ms. Barbara J Jensen, III').",
    )
    .build(),
];

static EMAILS: &[Attribute] = &[
    string(
        "value",
        "Email addresses for the user. The value SHOULD be canonicalized by the service provider, e.g., \
         'bjensen@example.com' instead of 'bjensen@EXAMPLE.COM'. Canonical type values of 'work', 'home', and \
         'other'.",
    )
    .indexed()
    .build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function, e.g., 'work' or 'home'.")
        .canonical(&[Cow::Borrowed("work"), Cow::Borrowed("home"), Cow::Borrowed("other")])
        .build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute, e.g., the \
         preferred mailing address or primary email address. The primary attribute value 'true' MUST appear no more \
         than once.",
    )
    .build(),
];

static PHONE_NUMBERS: &[Attribute] = &[
    string("value", "Phone number of the User.").build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function, e.g., 'work', 'home', 'mobile'.")
        .canonical(&[
            Cow::Borrowed("work"),
            Cow::Borrowed("home"),
            Cow::Borrowed("mobile"),
            Cow::Borrowed("fax"),
            Cow::Borrowed("pager"),
            Cow::Borrowed("other"),
        ])
        .build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute, e.g., the \
         preferred phone number or primary phone number. The primary attribute value 'true' MUST appear no more than \
         once.",
    )
    .build(),
];

static IMS: &[Attribute] = &[
    string("value", "Instant messaging address for the User.").build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function, e.g., 'aim', 'gtalk', 'xmpp'.")
        .canonical(&[
            Cow::Borrowed("aim"),
            Cow::Borrowed("gtalk"),
            Cow::Borrowed("icq"),
            Cow::Borrowed("xmpp"),
            Cow::Borrowed("msn"),
            Cow::Borrowed("skype"),
            Cow::Borrowed("qq"),
            Cow::Borrowed("yahoo"),
        ])
        .build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute, e.g., the \
         preferred messenger or primary messenger. The primary attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];

static PHOTOS: &[Attribute] = &[
    reference("value", "URL of a photo of the User.", &[Cow::Borrowed("external")]).build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function, i.e., 'photo' or 'thumbnail'.")
        .canonical(&[Cow::Borrowed("photo"), Cow::Borrowed("thumbnail")])
        .build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute, e.g., the \
         preferred photo or thumbnail. The primary attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];

static ADDRESSES: &[Attribute] = &[
    string(
        "formatted",
        "The full mailing address, formatted for display or use with a mailing label. This attribute MAY contain \
         newlines.",
    )
    .build(),
    string(
        "streetAddress",
        "The full street address component, which may include house number, street name, P.O. box, and multi-line \
         extended street address information. This attribute MAY contain newlines.",
    )
    .build(),
    string("locality", "The city or locality component.").build(),
    string("region", "The state or region component.").build(),
    string("postalCode", "The zip code or postal code component.").build(),
    string("country", "The country name component.").build(),
    string("type", "A label indicating the attribute's function, e.g., 'work' or 'home'.")
        .canonical(&[Cow::Borrowed("work"), Cow::Borrowed("home"), Cow::Borrowed("other")])
        .build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute, e.g., the \
         preferred mailing address. The primary attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];

static GROUPS: &[Attribute] = &[
    string("value", "The identifier of the User's group.").case_exact().read_only().build(),
    reference(
        "$ref",
        "The URI of the corresponding 'Group' resource to which the user belongs.",
        &[Cow::Borrowed("Group")],
    )
    .read_only()
    .build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").read_only().build(),
    string("type", "A label indicating the attribute's function, e.g., 'direct' or 'indirect'.")
        .canonical(&[Cow::Borrowed("direct"), Cow::Borrowed("indirect")])
        .read_only()
        .build(),
];

static ENTITLEMENTS: &[Attribute] = &[
    string("value", "The value of an entitlement.").build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function.").build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute. The primary \
         attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];

static ROLES: &[Attribute] = &[
    string("value", "The value of a role.").build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function.").build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute. The primary \
         attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];

static X509CERTIFICATES: &[Attribute] = &[
    binary("value", "The value of an X.509 certificate.").build(),
    string("display", "A human-readable name, primarily used for display purposes. READ-ONLY.").build(),
    string("type", "A label indicating the attribute's function.").build(),
    boolean(
        "primary",
        "A Boolean value indicating the 'primary' or preferred attribute value for this attribute. The primary \
         attribute value 'true' MUST appear no more than once.",
    )
    .build(),
];
