//! The attribute model of RFC 7643 §2 and §7 as data. Nothing here knows a concrete attribute.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Text that is static for the built-in schemas and owned for a tenant's own.
pub type Text = Cow<'static, str>;

/// A list that is static for the built-in schemas and owned for a tenant's own.
pub type List<T> = Cow<'static, [T]>;

/// `type` (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// JSON string.
    #[default]
    String,
    /// JSON true or false.
    Boolean,
    /// JSON number with a fraction.
    Decimal,
    /// JSON number without a fraction.
    Integer,
    /// JSON string holding an `xsd:dateTime`.
    DateTime,
    /// JSON string in base64.
    Binary,
    /// JSON string holding a URI.
    Reference,
    /// JSON object of sub-attributes.
    Complex,
}

/// `mutability` (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// The server's own; ignored where a client sends it.
    ReadOnly,
    /// The client may change it at any time.
    #[default]
    ReadWrite,
    /// Set once, at creation or by the first change.
    Immutable,
    /// Never returned or compared.
    WriteOnly,
}

/// `returned` (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Whatever `attributes` and `excludedAttributes` say.
    Always,
    /// In no response.
    Never,
    /// Unless `attributes` leaves it out or `excludedAttributes` names it.
    #[default]
    Default,
    /// Only where `attributes` names it.
    Request,
}

/// `uniqueness` (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// Any number of resources may share a value.
    #[default]
    None,
    /// Unique among the tenant's resources of one type.
    Server,
    /// Unique everywhere; kept as `Server` is, since a tenant is all that the server sees.
    Global,
}

/// Where an attribute's values live. Off the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// In the resource's document.
    #[default]
    Document,
    /// One key an edge from this resource to its members: the writable side (`Group.members`).
    Members,
    /// The same edges seen from the member: the computed side (`User.groups`).
    Memberships,
    /// When the document last changed, which is kept beside its attributes (`meta.lastModified`).
    Modified,
    /// In a key of its own, as a hash, where the tenant keeps passwords; else nowhere (`User.password`).
    Password,
}

/// One attribute or sub-attribute. Serialized, it is what a tenant's configuration stores: what has its default is left
/// out, so that reading it stays cheap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "these are the characteristics of RFC 7643 §7, not states")]
pub struct Attribute {
    /// In its canonical spelling; compared without case (RFC 7643 §2.1).
    pub name: Text,
    /// Data type.
    #[serde(rename = "type", default, skip_serializing_if = "is_default")]
    pub kind: Type,
    /// A JSON array of values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub multi_valued: bool,
    /// For discovery.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Text,
    /// A resource must have it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// Suggested values (RFC 7643 §7 lets a server accept others; this one does).
    #[serde(default, skip_serializing_if = "is_default")]
    pub canonical_values: List<Text>,
    /// Whether comparison and uniqueness respect case.
    #[serde(default, skip_serializing_if = "is_default")]
    pub case_exact: bool,
    /// Who may change it, and when.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mutability: Mutability,
    /// When it is part of a response.
    #[serde(default, skip_serializing_if = "is_default")]
    pub returned: Returned,
    /// Whether values may repeat.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uniqueness: Uniqueness,
    /// For `Type::Reference`: resource type names, `external` or `uri`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reference_types: List<Text>,
    /// For `Type::Complex`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sub_attributes: List<Attribute>,
    /// Whether a secondary index serves it. Off the wire of discovery.
    #[serde(default, skip_serializing_if = "is_default")]
    pub indexed: bool,
    /// Whether its secondary index is being built: writes keep it, queries must not use it yet (`indexed` is false).
    #[serde(skip)]
    pub indexing: bool,
    /// Whether its unique keys are being built: writes keep them, queries must not use them yet.
    #[serde(skip)]
    pub claiming: bool,
    /// Where its values live. Off the wire.
    #[serde(skip)]
    pub source: Source,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Attribute {
    /// The sub-attribute called `name`, in any case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.sub_attributes, name)
    }

    /// Whether values compare without regard to case: strings that are not `caseExact`.
    pub fn folds_case(&self) -> bool {
        !self.case_exact && matches!(self.kind, Type::String | Type::Reference)
    }
}

/// A schema: a URN and the attributes that it defines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The URN; compared without case.
    pub id: Text,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Text,
    /// For discovery.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Text,
    /// Top-level attributes.
    pub attributes: List<Attribute>,
}

impl Schema {
    /// The top-level attribute called `name`, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }
}

/// An extension of a resource type (RFC 7643 §6).
#[derive(Clone, Debug, PartialEq)]
pub struct Extension {
    /// What it adds, under its URN.
    pub schema: Schema,
    /// A resource must carry it.
    pub required: bool,
}

/// A resource type (RFC 7643 §6).
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceType {
    /// `User`; also the `id` of its discovery document and part of its keys.
    pub name: Text,
    /// Below the base URL: `/Users`.
    pub endpoint: Text,
    /// For discovery.
    pub description: Text,
    /// The core schema.
    pub schema: Schema,
    /// Extensions, in order.
    pub extensions: List<Extension>,
}

impl ResourceType {
    /// The core schema and then the extensions' schemas.
    pub fn schemas(&self) -> impl Iterator<Item = &Schema> {
        std::iter::once(&self.schema).chain(self.extensions.iter().map(|e| &e.schema))
    }

    /// The extension's schema with this URN, in any case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().map(|e| &e.schema).find(|s| s.id.eq_ignore_ascii_case(urn))
    }

    /// Whether queries may use the secondary index of an attribute. Where there are members, a resource is modified
    /// without its document, whose index would have to be kept under all their concurrent changes: there is none.
    pub fn serves(&self, leaf: &Attribute) -> bool {
        leaf.indexed && !self.moves(leaf)
    }

    /// Whether writes keep the secondary index of an attribute.
    pub fn keeps(&self, leaf: &Attribute) -> bool {
        (leaf.indexed || leaf.indexing) && !self.moves(leaf)
    }

    fn moves(&self, leaf: &Attribute) -> bool {
        leaf.source == Source::Modified && self.attribute_from(Source::Members).is_some()
    }

    /// The first top-level core attribute with this source.
    pub fn attribute_from(&self, source: Source) -> Option<&Attribute> {
        self.schema.attributes.iter().find(|a| a.source == source)
    }
}

/// All resource types that a tenant has.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// In discovery's order.
    pub resource_types: List<ResourceType>,
}

impl Registry {
    /// The resource type served at `/{segment}`, in any case (clients send `/users`).
    pub fn by_endpoint(&self, segment: &str) -> Option<&ResourceType> {
        self.resource_types.iter().find(|t| t.endpoint.trim_start_matches('/').eq_ignore_ascii_case(segment))
    }

    /// The schema with this URN, in any case.
    pub fn schema(&self, urn: &str) -> Option<&Schema> {
        self.resource_types.iter().flat_map(ResourceType::schemas).find(|s| s.id.eq_ignore_ascii_case(urn))
    }

    /// The resource type called `name`, exactly.
    pub fn by_name(&self, name: &str) -> Option<&ResourceType> {
        self.resource_types.iter().find(|t| t.name == name)
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}
