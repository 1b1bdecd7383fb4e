//! Schemas and resource types: the model, the built-in ones, the resolution of attribute names, discovery documents.

mod builtin;
pub mod discovery;
mod model;

pub use builtin::{COMMON, ENTERPRISE_USER, GROUP, REGISTRY, USER};
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
}

/// The common attribute called `name`, in any case.
pub fn common(name: &str) -> Option<&'static Attribute> {
    COMMON.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}
