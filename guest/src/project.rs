//! Which attributes a response carries: `returned` of the schema against `attributes` and `excludedAttributes`
//! (RFC 7644 §3.9).

use serde_json::Value;

use crate::error::{ErrorKind, Result, ScimError};
use crate::resource::Object;
use crate::schema::{Attribute, COMMON, Mutability, ResourceType, Returned, Schema, Source};

/// What a response leaves out, worked out once for all resources of one type in it.
#[derive(Clone, Debug)]
pub struct Projection<'s> {
    omitted: Vec<Omitted<'s>>,
    keeps_documents: bool,
}

/// One attribute, or some sub-attributes of it, to leave out.
#[derive(Clone, Debug)]
struct Omitted<'s> {
    extension: Option<&'s str>,
    attribute: &'s str,
    /// Empty: all of the attribute.
    subs: Vec<&'s str>,
}

/// What the client asks for.
enum Wish<'s> {
    Default,
    Only(Vec<Named<'s>>),
    Except(Vec<Named<'s>>),
}

/// One name of a list, resolved.
enum Named<'s> {
    /// All attributes of the schema with this URN.
    Schema(&'s str),
    Attribute {
        extension: Option<&'s str>,
        attribute: &'s str,
        sub: Option<&'s str>,
    },
}

impl<'s> Projection<'s> {
    /// From the two query parameters; names that the schema does not know are passed over. 400 invalidValue for both at
    /// once, since the RFC has them exclude each other.
    pub fn parse(ty: &'s ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Result<Self> {
        let wish = match (attributes, excluded) {
            (None, None) => Wish::Default,
            (Some(names), None) => Wish::Only(resolve(ty, names)),
            (None, Some(names)) => Wish::Except(resolve(ty, names)),
            (Some(_), Some(_)) => {
                return Err(ScimError::new(
                    ErrorKind::InvalidValue,
                    "attributes and excludedAttributes exclude each other; send one of them",
                ));
            }
        };
        Ok(Self::new(ty, &wish))
    }

    /// What is returned where the client asks for nothing in particular.
    pub fn default_of(ty: &'s ResourceType) -> Self {
        Self::new(ty, &Wish::Default)
    }

    fn new(ty: &'s ResourceType, wish: &Wish<'_>) -> Self {
        let core = COMMON.iter().chain(ty.schema.attributes.iter()).map(|attribute| (&ty.schema, None, attribute));
        let extensions = ty.extensions.iter().flat_map(|extension| {
            let schema = &extension.schema;
            schema.attributes.iter().map(move |attribute| (schema, Some(schema.id.as_ref()), attribute))
        });
        let mut keeps_documents = true;
        let omitted = core.chain(extensions).filter_map(|(schema, extension, attribute)| {
            let subs = wish.omits(schema, extension, attribute)?;
            keeps_documents &= !is_stored(attribute);
            Some(Omitted { extension, attribute: &attribute.name, subs })
        });
        let omitted = omitted.collect();
        Self { omitted, keeps_documents }
    }

    /// Whether nothing that a stored document holds is left out.
    pub fn keeps_documents(&self) -> bool {
        self.keeps_documents
    }

    /// Whether a core attribute is part of the response at all, so that what is not need not be read.
    pub fn wants(&self, attribute: &Attribute) -> bool {
        self.cut(&attribute.name).is_some()
    }

    /// The sub-attributes to leave out of a core attribute; `None` where it is left out itself.
    pub fn cut(&self, attribute: &str) -> Option<&[&'s str]> {
        let cut = self.omitted.iter().find(|cut| cut.extension.is_none() && cut.attribute == attribute);
        match cut {
            None => Some(&[]),
            Some(cut) if cut.subs.is_empty() => None,
            Some(cut) => Some(&cut.subs),
        }
    }

    /// `resource` without what the response leaves out. Names are in canonical spelling.
    pub fn apply(&self, mut resource: Object) -> Object {
        for omitted in &self.omitted {
            match omitted.extension {
                None => omitted.remove_from(&mut resource),
                Some(urn) => {
                    let Some(Value::Object(object)) = resource.get_mut(urn) else { continue };
                    omitted.remove_from(object);
                    if object.is_empty() {
                        resource.shift_remove(urn);
                    }
                }
            }
        }
        resource
    }
}

/// Whether a stored document may hold the attribute: not secrets, edges and what is made for each response.
fn is_stored(attribute: &Attribute) -> bool {
    let made = ["id", "schemas", "meta"].contains(&attribute.name.as_ref());
    attribute.source == Source::Document && attribute.mutability != Mutability::WriteOnly && !made
}

impl Omitted<'_> {
    fn remove_from(&self, object: &mut Object) {
        if self.subs.is_empty() {
            object.shift_remove(self.attribute);
            return;
        }
        let empty = match object.get_mut(self.attribute) {
            Some(Value::Object(value)) => {
                value.retain(|name, _| !self.subs.contains(&name.as_str()));
                value.is_empty()
            }
            Some(Value::Array(values)) => {
                values.retain_mut(|value| {
                    let Value::Object(value) = value else { return true };
                    value.retain(|name, _| !self.subs.contains(&name.as_str()));
                    !value.is_empty()
                });
                values.is_empty()
            }
            _ => false,
        };
        if empty {
            object.shift_remove(self.attribute);
        }
    }
}

impl Wish<'_> {
    /// What to leave out of an attribute: `None` for nothing, an empty list for all of it, or some sub-attributes.
    fn omits<'s>(&self, schema: &Schema, extension: Option<&str>, attribute: &'s Attribute) -> Option<Vec<&'s str>> {
        // Asked only where it matters: most requests name nothing.
        let whole = || self.names(schema, extension, attribute, None);
        let any_sub = || attribute.sub_attributes.iter().any(|sub| self.names(schema, extension, attribute, Some(sub)));
        let kept = match (attribute.returned, self) {
            (Returned::Never, _) | (Returned::Request, Self::Default | Self::Except(_)) => false,
            (Returned::Always, _) | (Returned::Default, Self::Default) => true,
            (Returned::Default, Self::Except(_)) => !whole(),
            (Returned::Default | Returned::Request, Self::Only(_)) => whole() || any_sub(),
        };
        if !kept {
            return Some(Vec::new());
        }
        // Named by a sub-attribute, an attribute is cut down to it; named as a whole, or always there, it is not.
        let cut = matches!(self, Self::Only(_)) && !whole() && any_sub();
        let omitted = attribute.sub_attributes.iter().filter(|sub| {
            let named = || self.names(schema, extension, attribute, Some(sub));
            match (sub.returned, self) {
                (Returned::Never, _) => true,
                (Returned::Always, _) => false,
                (_, Self::Except(_)) if named() => true,
                (_, Self::Only(_)) if named() => false,
                (Returned::Default, _) => cut,
                (Returned::Request, _) => true,
            }
        });
        let omitted: Vec<&str> = omitted.map(|sub| sub.name.as_ref()).collect();
        (!omitted.is_empty()).then_some(omitted)
    }

    fn names(&self, schema: &Schema, extension: Option<&str>, attribute: &Attribute, sub: Option<&Attribute>) -> bool {
        let (Self::Only(names) | Self::Except(names)) = self else { return false };
        names.iter().any(|named| match named {
            Named::Schema(urn) => sub.is_none() && *urn == schema.id,
            Named::Attribute { extension: e, attribute: a, sub: s } => {
                *e == extension && *a == attribute.name && *s == sub.map(|sub| sub.name.as_ref())
            }
        })
    }
}

/// The names of a comma-separated list that the schema knows.
fn resolve<'s>(ty: &'s ResourceType, names: &str) -> Vec<Named<'s>> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).filter_map(|name| resolve_one(ty, name)).collect()
}

fn resolve_one<'s>(ty: &'s ResourceType, name: &str) -> Option<Named<'s>> {
    if let Some(schema) = ty.schemas().find(|schema| schema.id.eq_ignore_ascii_case(name)) {
        return Some(Named::Schema(&schema.id));
    }
    let urn = ty.schemas().map(|schema| schema.id.as_ref()).find(|urn| {
        name.split_at_checked(urn.len())
            .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(urn) && rest.starts_with(':'))
    });
    let path = urn.map_or(name, |urn| &name[urn.len() + 1..]);
    let (attribute, sub) = match path.split_once('.') {
        Some((attribute, sub)) => (attribute, Some(sub)),
        None => (path, None),
    };
    let target = ty.resolve(urn, attribute, sub).or_else(|| match urn {
        Some(_) => None,
        None => only_extension(ty, attribute).and_then(|urn| ty.resolve(Some(urn), attribute, sub)),
    })?;
    Some(Named::Attribute {
        extension: target.extension.map(|schema| schema.id.as_ref()),
        attribute: &target.attribute.name,
        sub: target.sub.map(|sub| sub.name.as_ref()),
    })
}

/// The URN of the one extension with an attribute called `name`: clients leave the URN out.
fn only_extension<'s>(ty: &'s ResourceType, name: &str) -> Option<&'s str> {
    let mut schemas = ty.extensions.iter().map(|e| &e.schema).filter(|schema| schema.attribute(name).is_some());
    match (schemas.next(), schemas.next()) {
        (Some(schema), None) => Some(&schema.id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
