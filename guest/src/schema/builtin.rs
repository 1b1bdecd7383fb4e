//! The built-in schemas and resource types of RFC 7643 §3.1, §4.1, §4.2 and §4.3.
//!
//! All of it is constant data, laid out by the compiler: a component instance lives for one request, so building tables at
//! start would be paid for by every request.

mod enterprise;
mod group;
mod user;

use std::borrow::Cow;

use super::model::{
    Attribute, Extension, Mutability, Registry, ResourceType, Returned, Schema, Source, Type, Uniqueness,
};

/// The attributes that every resource has beside those of its schemas (RFC 7643 §3.1).
pub static COMMON: &[Attribute] = &[
    reference("schemas", "The URIs of the schemas that define the resource's attributes.", &[Cow::Borrowed("uri")])
        .multi_valued()
        .required()
        .read_only()
        .always_returned()
        .build(),
    string("id", "A unique identifier for the resource, assigned by the service provider and never reassigned.")
        .required()
        .case_exact()
        .read_only()
        .always_returned()
        .unique()
        .build(),
    string("externalId", "An identifier for the resource as defined by the provisioning client.")
        .case_exact()
        .indexed()
        .build(),
    complex("meta", "Resource metadata, assigned by the service provider.", META).read_only().build(),
];

static META: &[Attribute] = &[
    string("resourceType", "The name of the resource type of the resource.").case_exact().read_only().build(),
    date_time("created", "When the resource was added to the service provider.").read_only().build(),
    date_time("lastModified", "When the resource was last changed.")
        .read_only()
        .indexed()
        .from(Source::Modified)
        .build(),
    reference("location", "The URI of the resource.", &[Cow::Borrowed("uri")]).read_only().build(),
    string("version", "The version of the resource, as in the ETag header.").case_exact().read_only().build(),
];

/// The User schema (RFC 7643 §4.1).
pub static USER: Schema = user::SCHEMA;

/// The enterprise extension of User (RFC 7643 §4.3).
pub static ENTERPRISE_USER: Schema = enterprise::SCHEMA;

/// The Group schema (RFC 7643 §4.2).
pub static GROUP: Schema = group::SCHEMA;

/// The resource types of a tenant that defines none of its own.
pub static REGISTRY: Registry = Registry { resource_types: Cow::Borrowed(RESOURCE_TYPES) };

static RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType {
        name: Cow::Borrowed("User"),
        endpoint: Cow::Borrowed("/Users"),
        description: Cow::Borrowed("User Account"),
        schema: user::SCHEMA,
        extensions: Cow::Borrowed(USER_EXTENSIONS),
    },
    ResourceType {
        name: Cow::Borrowed("Group"),
        endpoint: Cow::Borrowed("/Groups"),
        description: Cow::Borrowed("Group"),
        schema: group::SCHEMA,
        extensions: Cow::Borrowed(&[]),
    },
];

static USER_EXTENSIONS: &[Extension] = &[Extension { schema: enterprise::SCHEMA, required: false }];

/// An attribute under construction. [`Attribute`] itself owns memory at times, so the compiler can't fill one in step by
/// step; this one is `Copy`.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "these are the characteristics of RFC 7643 §7, not states")]
struct Spec {
    name: &'static str,
    kind: Type,
    multi_valued: bool,
    description: &'static str,
    required: bool,
    canonical_values: &'static [Cow<'static, str>],
    case_exact: bool,
    mutability: Mutability,
    returned: Returned,
    uniqueness: Uniqueness,
    reference_types: &'static [Cow<'static, str>],
    sub_attributes: &'static [Attribute],
    indexed: bool,
    source: Source,
}

/// An optional, single-valued, case-insensitive string: the defaults of RFC 7643 §2.2.
const fn string(name: &'static str, description: &'static str) -> Spec {
    Spec {
        name,
        kind: Type::String,
        multi_valued: false,
        description,
        required: false,
        canonical_values: &[],
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        reference_types: &[],
        sub_attributes: &[],
        indexed: false,
        source: Source::Document,
    }
}

const fn boolean(name: &'static str, description: &'static str) -> Spec {
    Spec { kind: Type::Boolean, ..string(name, description) }
}

const fn date_time(name: &'static str, description: &'static str) -> Spec {
    Spec { kind: Type::DateTime, ..string(name, description) }
}

/// Binary values are `caseExact` (RFC 7643 §2.3.6).
const fn binary(name: &'static str, description: &'static str) -> Spec {
    Spec { kind: Type::Binary, case_exact: true, ..string(name, description) }
}

/// References are `caseExact` (RFC 7643 §2.3.7).
const fn reference(name: &'static str, description: &'static str, types: &'static [Cow<'static, str>]) -> Spec {
    Spec { kind: Type::Reference, case_exact: true, reference_types: types, ..string(name, description) }
}

const fn complex(name: &'static str, description: &'static str, sub_attributes: &'static [Attribute]) -> Spec {
    Spec { kind: Type::Complex, sub_attributes, ..string(name, description) }
}

impl Spec {
    const fn multi_valued(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn canonical(self, values: &'static [Cow<'static, str>]) -> Self {
        Self { canonical_values: values, ..self }
    }

    const fn case_exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }

    const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }

    const fn write_only(self) -> Self {
        Self { mutability: Mutability::WriteOnly, ..self }
    }

    const fn always_returned(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }

    const fn requested(self) -> Self {
        Self { returned: Returned::Request, ..self }
    }

    const fn never_returned(self) -> Self {
        Self { returned: Returned::Never, ..self }
    }

    const fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }

    const fn indexed(self) -> Self {
        Self { indexed: true, ..self }
    }

    const fn from(self, source: Source) -> Self {
        Self { source, ..self }
    }

    const fn build(self) -> Attribute {
        Attribute {
            name: Cow::Borrowed(self.name),
            kind: self.kind,
            multi_valued: self.multi_valued,
            description: Cow::Borrowed(self.description),
            required: self.required,
            canonical_values: Cow::Borrowed(self.canonical_values),
            case_exact: self.case_exact,
            mutability: self.mutability,
            returned: self.returned,
            uniqueness: self.uniqueness,
            reference_types: Cow::Borrowed(self.reference_types),
            sub_attributes: Cow::Borrowed(self.sub_attributes),
            indexed: self.indexed,
            indexing: false,
            claiming: false,
            source: self.source,
        }
    }
}
