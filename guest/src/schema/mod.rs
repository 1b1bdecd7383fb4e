//! Schemas and resource types: the model, the built-in ones, the resolution of attribute names, discovery documents.

mod builtin;
pub mod define;
mod definitions;
pub mod discovery;
mod model;
pub mod order;

use std::borrow::Cow;

use serde_json::Value;

use crate::precis;
use crate::resource::Object;

pub use builtin::{COMMON, ENTERPRISE_USER, GROUP, REGISTRY, USER};
pub use definitions::{Definitions, ExtensionDefinition, Keyed, TypeDefinition};
pub use model::{
    Attribute, Extension, List, Mutability, Registry, ResourceType, Returned, Schema, Source, Text, Type, Uniqueness,
};

/// What an attribute name of a request stands for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'s> {
    /// The extension whose object holds the attribute; `None` for core and common attributes.
    pub extension: Option<&'s Schema>,
    /// The top-level attribute.
    pub attribute: &'s Attribute,
    /// One of its sub-attributes, where the name goes that deep.
    pub sub: Option<&'s Attribute>,
}

impl<'s> Target<'s> {
    /// The innermost attribute that the name stands for.
    pub fn leaf(&self) -> &'s Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// Whether a resource has one value of it at most.
    pub fn is_single(&self) -> bool {
        !self.attribute.multi_valued && !self.leaf().multi_valued
    }

    /// Whether the store keeps its values unique. Ids are unique by how they are made.
    pub fn is_unique(&self) -> bool {
        self.leaf().uniqueness != Uniqueness::None && self.leaf().mutability != Mutability::ReadOnly
    }

    /// The full name for error messages: `emails.value`, `urn:…:User:department`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        if let Some(extension) = self.extension {
            name.push_str(&extension.id);
            name.push(':');
        }
        name.push_str(&self.attribute.name);
        if let Some(sub) = self.sub {
            name.push('.');
            name.push_str(&sub.name);
        }
        name
    }
}

impl ResourceType {
    /// What `urn:name.sub` stands for in this resource type: a common attribute (RFC 7643 §3.1), an attribute of the core
    /// schema, or one of an extension, which must be named by its URN. All parts compare without case.
    pub fn resolve<'s>(&'s self, urn: Option<&str>, name: &str, sub: Option<&str>) -> Option<Target<'s>> {
        let (extension, attribute) = match urn {
            Some(urn) if !urn.eq_ignore_ascii_case(&self.schema.id) => {
                let schema = self.extension(urn)?;
                (Some(schema), schema.attribute(name)?)
            }
            _ => (None, common(name).or_else(|| self.schema.attribute(name))?),
        };
        let sub = match sub {
            Some(sub) => Some(attribute.sub_attribute(sub)?),
            None => None,
        };
        Some(Target { extension, attribute, sub })
    }

    /// The attribute that tells whether whom a resource stands for is to have access: `active` (RFC 7643 §4.1.1).
    pub fn activity(&self) -> Option<&Attribute> {
        let fits = |a: &&Attribute| a.kind == Type::Boolean && !a.multi_valued && a.mutability == Mutability::ReadWrite;
        self.schema.attribute("active").filter(fits)
    }

    /// Whether a resource with these attributes is deactivated. One that does not say counts as active.
    pub fn is_deactivated(&self, attributes: &Object) -> bool {
        let value = self.activity().and_then(|activity| attributes.get(activity.name.as_ref()));
        value == Some(&Value::Bool(false))
    }
}

/// The common attribute called `name`, in any case.
pub fn common(name: &str) -> Option<&'static Attribute> {
    COMMON.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}

/// The form in which strings compare where case does not matter (`caseExact` false), in filters and keys alike.
pub fn fold_case(text: &str) -> Cow<'_, str> {
    precis::case_mapped(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(urn: Option<&str>, name: &str, sub: Option<&str>) -> Option<String> {
        REGISTRY.by_name("User")?.resolve(urn, name, sub).map(|target| target.name())
    }

    #[test]
    fn resolves_names_in_any_case() {
        const USER_URN: &str = "URN:ietf:params:scim:schemas:core:2.0:user";
        const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert_eq!(user(None, "USERNAME", None).as_deref(), Some("userName"));
        assert_eq!(user(None, "Name", Some("GivenName")).as_deref(), Some("name.givenName"));
        assert_eq!(user(Some(USER_URN), "emails", Some("value")).as_deref(), Some("emails.value"));
        assert_eq!(user(None, "meta", Some("lastmodified")).as_deref(), Some("meta.lastModified"));
        assert_eq!(
            user(Some(ENTERPRISE), "manager", Some("$REF")).as_deref(),
            Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref")
        );
        assert_eq!(user(None, "department", None), None);
        assert_eq!(user(Some("urn:other"), "userName", None), None);
        assert_eq!(user(None, "userName", Some("x")), None);
    }

    /// What the data must hold to so that validation, the index and the edges can rely on it.
    #[test]
    fn built_in_schemas_are_sound() {
        for ty in REGISTRY.resource_types.iter() {
            let mut names = std::collections::BTreeSet::new();
            for attribute in COMMON.iter().chain(ty.schema.attributes.iter()) {
                assert!(names.insert(fold_case(&attribute.name)), "{} is defined twice", attribute.name);
            }
            for attribute in COMMON.iter().chain(ty.schemas().flat_map(|schema| schema.attributes.iter())) {
                sound(attribute);
                for sub in attribute.sub_attributes.iter() {
                    assert!(sub.kind != Type::Complex, "{}.{}: complex in complex", attribute.name, sub.name);
                    sound(sub);
                }
            }
        }
    }

    fn sound(attribute: &Attribute) {
        let name = &attribute.name;
        assert_eq!(attribute.kind == Type::Complex, !attribute.sub_attributes.is_empty(), "{name}");
        assert_eq!(attribute.kind == Type::Reference, !attribute.reference_types.is_empty(), "{name}");
        assert!(!attribute.description.is_empty(), "{name}");
        assert!(attribute.mutability != Mutability::WriteOnly || attribute.returned == Returned::Never, "{name}");
    }
}
