//! What a tenant has defined: its own schemas, its own resource types, and extensions that it has attached to the built-in
//! ones. Here they become the registry that everything else works with.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    COMMON, ENTERPRISE_USER, Extension, GROUP, REGISTRY, Registry, ResourceType, Schema, Target, Text, USER, Uniqueness,
};
use crate::error::{ErrorKind, Result, ScimError};
use crate::suggest::did_you_mean;

/// A tenant's definitions, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Definitions {
    /// Schemas of its own, in the order of their definition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<Schema>,
    /// Resource types of its own; under the name of a built-in one, the extensions that it has there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_types: Vec<TypeDefinition>,
}

/// A resource type by reference to its schemas (RFC 7643 §6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeDefinition {
    /// `Device`
    pub name: Text,
    /// `/Devices`
    pub endpoint: Text,
    /// For discovery.
    pub description: Text,
    /// The core schema's URN.
    pub schema: Text,
    /// Extensions; of a built-in type, only the tenant's own.
    #[serde(default)]
    pub schema_extensions: Vec<ExtensionDefinition>,
}

/// An extension by reference (RFC 7643 §6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtensionDefinition {
    /// The extension's URN.
    pub schema: Text,
    /// A resource must carry it.
    pub required: bool,
}

/// The keys of one attribute in the store: its unique values, or its secondary index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keyed {
    /// The resource type's name.
    pub resource_type: String,
    /// The attribute's full name, as [`Target::name`] gives it.
    pub attribute: String,
    /// Its unique values rather than its index.
    pub unique: bool,
}

impl Definitions {
    /// Whether the tenant has defined anything.
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty() && self.resource_types.is_empty()
    }

    /// The tenant's own schema with this URN, in any case.
    pub fn schema(&self, urn: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The definition under this name, in any case.
    pub fn resource_type(&self, name: &str) -> Option<&TypeDefinition> {
        self.resource_types.iter().find(|defined| defined.name.eq_ignore_ascii_case(name))
    }

    /// Names of the resource types that use a schema as core or as extension.
    pub fn users_of(&self, urn: &str) -> Vec<&str> {
        let uses = |defined: &&TypeDefinition| {
            defined.schema.eq_ignore_ascii_case(urn)
                || defined.schema_extensions.iter().any(|e| e.schema.eq_ignore_ascii_case(urn))
        };
        self.resource_types.iter().filter(uses).map(|defined| defined.name.as_ref()).collect()
    }

    /// The built-in resource types with the tenant's extensions, and then its own; 400 invalidValue where the parts don't
    /// fit together.
    pub fn registry(self) -> Result<Registry> {
        if self.is_empty() {
            return Ok(REGISTRY.clone());
        }
        let mut types = REGISTRY.resource_types.to_vec();
        let Self { schemas, resource_types } = self;
        let mut pool = Pool::new(schemas, &resource_types);
        for defined in &resource_types {
            let at = match types.iter().position(|known| known.name == defined.name) {
                Some(at) => at,
                None => {
                    let schema = pool.take(&defined.schema).map_err(|error| error.at("schema"))?;
                    types.push(ResourceType {
                        name: defined.name.clone(),
                        endpoint: defined.endpoint.clone(),
                        description: defined.description.clone(),
                        schema,
                        extensions: Cow::Borrowed(&[]),
                    });
                    types.len() - 1
                }
            };
            for (i, extension) in defined.schema_extensions.iter().enumerate() {
                let place = || format!("schemaExtensions[{i}].schema");
                let schema = pool.take(&extension.schema).map_err(|error| error.at(&place()))?;
                types[at].extensions.to_mut().push(Extension { schema, required: extension.required });
            }
            distinct(&types[at])?;
        }
        Ok(Registry { resource_types: Cow::Owned(types) })
    }
}

/// Schemas on their way into a registry: each is moved where it is used last, and copied before.
struct Pool {
    schemas: Vec<(usize, Option<Schema>)>,
}

impl Pool {
    fn new(schemas: Vec<Schema>, resource_types: &[TypeDefinition]) -> Self {
        let urns = || {
            resource_types.iter().flat_map(|t| {
                std::iter::once(&t.schema).chain(t.schema_extensions.iter().map(|extension| &extension.schema))
            })
        };
        let uses = |schema: &Schema| urns().filter(|urn| urn.eq_ignore_ascii_case(&schema.id)).count();
        Self { schemas: schemas.into_iter().map(|schema| (uses(&schema), Some(schema))).collect() }
    }

    fn take(&mut self, urn: &str) -> Result<Schema> {
        if urn.eq_ignore_ascii_case(&ENTERPRISE_USER.id) {
            return Ok(ENTERPRISE_USER.clone());
        }
        if let Some(core) = [&USER, &GROUP].into_iter().find(|core| core.id.eq_ignore_ascii_case(urn)) {
            return Err(invalid(format!(
                "`{}` is the core schema of {} alone; define a schema of your own with PUT /admin/schemas/{{urn}}",
                core.id, core.name
            )));
        }
        let found = self
            .schemas
            .iter_mut()
            .find(|(_, schema)| schema.as_ref().is_some_and(|schema| schema.id.eq_ignore_ascii_case(urn)));
        match found {
            Some((uses, schema)) => {
                *uses = uses.saturating_sub(1);
                let schema = if *uses == 0 { schema.take() } else { schema.clone() };
                schema.ok_or_else(|| invalid(format!("`{urn}` is used more often than it is defined")))
            }
            None => {
                let known = self.schemas.iter().filter_map(|(_, schema)| Some(schema.as_ref()?.id.as_ref()));
                Err(invalid(format!(
                    "there is no schema `{urn}`; define it first with PUT /admin/schemas/{{urn}}{}",
                    did_you_mean(urn, known)
                )))
            }
        }
    }
}

/// A URN must tell the schemas of a resource type apart, also where it is the head of a longer name: `urn:a:b` with the
/// attribute `c` and `urn:a` with an attribute `b:c` would read the same.
fn distinct(resource_type: &ResourceType) -> Result<()> {
    let schemas: Vec<&Schema> = resource_type.schemas().collect();
    for (i, one) in schemas.iter().enumerate() {
        for other in &schemas[i + 1..] {
            if one.id.eq_ignore_ascii_case(&other.id) {
                return Err(invalid(format!(
                    "schemaExtensions: `{}` is named twice for {}; name it once",
                    other.id, resource_type.name
                )));
            }
            let (short, long) = if one.id.len() < other.id.len() { (one, other) } else { (other, one) };
            let head = long.id.get(..short.id.len()).is_some_and(|head| head.eq_ignore_ascii_case(&short.id));
            if head && long.id[short.id.len()..].starts_with(':') {
                return Err(invalid(format!(
                    "schemaExtensions: `{}` begins with `{}:`, so that attribute names under them are ambiguous; give \
                     one of the schemas of {} another URN",
                    long.id, short.id, resource_type.name
                )));
            }
        }
    }
    Ok(())
}

impl Registry {
    /// Make values of a top-level core attribute unique among the resources of a type.
    pub fn make_unique(&mut self, resource_type: &str, attribute: &str) {
        let Some(found) = self.resource_types.to_mut().iter_mut().find(|t| t.name == resource_type) else { return };
        if let Some(found) = found.schema.attributes.to_mut().iter_mut().find(|a| a.name == attribute) {
            found.uniqueness = Uniqueness::Server;
        }
    }

    /// Mark keys as incomplete: writes keep them, queries don't use them yet.
    pub fn mark_incomplete(&mut self, keyed: &Keyed) {
        let types = self.resource_types.to_mut();
        let Some(ty) = types.iter_mut().find(|t| t.name == keyed.resource_type) else { return };
        let Some((extension, name, sub)) = ty.targets().find(|t| t.name() == keyed.attribute).map(|t| {
            (t.extension.map(|e| e.id.to_string()), t.attribute.name.to_string(), t.sub.map(|s| s.name.to_string()))
        }) else {
            return;
        };
        let schema = match extension {
            None => &mut ty.schema,
            Some(urn) => match ty.extensions.to_mut().iter_mut().find(|e| e.schema.id == urn) {
                Some(extension) => &mut extension.schema,
                None => return,
            },
        };
        let Some(attribute) = schema.attributes.to_mut().iter_mut().find(|a| a.name == name) else { return };
        let leaf = match sub {
            None => attribute,
            Some(sub) => match attribute.sub_attributes.to_mut().iter_mut().find(|s| s.name == sub) {
                Some(sub) => sub,
                None => return,
            },
        };
        if keyed.unique {
            leaf.claiming = true;
        } else {
            leaf.indexing = leaf.indexed || leaf.indexing;
            leaf.indexed = false;
        }
    }

    /// All attributes that the store keeps keys of.
    pub fn keyed(&self) -> Vec<(Keyed, Target<'_>)> {
        let mut all = Vec::new();
        for ty in self.resource_types.iter() {
            for target in ty.targets() {
                let keyed = |unique| Keyed { resource_type: ty.name.to_string(), attribute: target.name(), unique };
                if target.is_unique() {
                    all.push((keyed(true), target));
                }
                if ty.keeps(target.leaf()) {
                    all.push((keyed(false), target));
                }
            }
        }
        all
    }
}

impl ResourceType {
    /// Everything that a name can stand for in this resource type, complex attributes and what is in them.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let common = COMMON.iter().map(|a| (None, a));
        let core = self.schema.attributes.iter().map(|a| (None, a));
        let extended =
            self.extensions.iter().flat_map(|e| e.schema.attributes.iter().map(move |a| (Some(&e.schema), a)));
        common.chain(core).chain(extended).flat_map(|(extension, attribute)| {
            let itself = std::iter::once(Target { extension, attribute, sub: None });
            let subs = attribute.sub_attributes.iter();
            itself.chain(subs.map(move |sub| Target { extension, attribute, sub: Some(sub) }))
        })
    }
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, detail)
}
