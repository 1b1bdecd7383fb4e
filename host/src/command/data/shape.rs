//! What a tenant's resources look like, read from its discovery (RFC 7643 §6, §7): which attributes are the server's own,
//! which are unique, and which refer to other resources, so that an import can give them the new ids.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scim::Scim;
use crate::command::CommandError;

/// Sub-attributes that follow from `value` in a reference to a resource, so that nothing is lost by sending that alone.
const DERIVED: [&str; 4] = ["value", "$ref", "display", "type"];

/// An attribute's definition (RFC 7643 §7).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attribute {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) multi_valued: bool,
    pub(super) required: bool,
    mutability: String,
    uniqueness: String,
    reference_types: Vec<String>,
    pub(super) sub_attributes: Option<Vec<Attribute>>,
}

impl Attribute {
    fn is_read_only(&self) -> bool {
        self.mutability == "readOnly"
    }

    fn is_unique(&self) -> bool {
        self.kind == "string" && !self.multi_valued && matches!(self.uniqueness.as_str(), "server" | "global")
    }

    pub(super) fn sub(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().flatten().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// Whether its `value` is the id of a resource of one of these types.
    fn refers_to(&self, types: &[String]) -> bool {
        let refers = |reference: &Attribute| reference.reference_types.iter().any(|name| types.contains(name));
        !self.is_read_only() && self.sub("value").is_some() && self.sub("$ref").is_some_and(refers)
    }
}

/// A schema of a resource type: its core schema or an extension.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Schema {
    pub(super) id: String,
    #[serde(default)]
    pub(super) attributes: Vec<Attribute>,
}

/// One attribute with a reference, by the key that it has in the core or below the extension's URN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// `None` in the core schema.
    pub(super) extension: Option<String>,
    pub(super) name: String,
}

impl Reference {
    /// As a PATCH names it.
    pub(super) fn path(&self) -> String {
        self.extension.as_ref().map_or_else(|| self.name.clone(), |urn| format!("{urn}:{}", self.name))
    }

    /// The object of a resource that has it.
    pub(super) fn holder<'r>(&self, resource: &'r Map<String, Value>) -> Option<&'r Map<String, Value>> {
        match &self.extension {
            None => Some(resource),
            Some(urn) => resource.get(urn)?.as_object(),
        }
    }

    /// The object of a resource that has it, to be changed.
    pub(super) fn holder_mut<'r>(&self, resource: &'r mut Map<String, Value>) -> Option<&'r mut Map<String, Value>> {
        match &self.extension {
            None => Some(resource),
            Some(urn) => resource.get_mut(urn)?.as_object_mut(),
        }
    }
}

/// A resource type.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    /// `/Users`
    pub(super) endpoint: String,
    pub(super) core: Schema,
    pub(super) extensions: Vec<Schema>,
    /// Attributes of the core schema that are the server's own, with those of every resource.
    pub(super) read_only: Vec<String>,
    /// What finds a resource: unique attributes, by their paths in a filter.
    pub(super) unique: Vec<String>,
    /// What tells a resource of a type without unique attributes from the next: those that every one has.
    pub(super) required: Vec<String>,
    /// Attributes of the core schema that list other resources, as `members` does.
    pub(super) links: Vec<String>,
    /// Attributes that name one other resource, as `manager` does.
    pub(super) references: Vec<Reference>,
}

/// All resource types of a tenant.
#[derive(Clone, Debug)]
pub(super) struct Shapes(pub(super) Vec<Shape>);

#[derive(Deserialize)]
struct List<T> {
    #[serde(rename = "Resources")]
    resources: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceType {
    name: String,
    endpoint: String,
    schema: String,
    #[serde(default)]
    schema_extensions: Vec<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    schema: String,
}

impl Shapes {
    /// Of this tenant.
    pub(super) async fn read(scim: &Scim) -> Result<Self, CommandError> {
        let types: List<ResourceType> = decode(&scim.place, scim.get("/ResourceTypes").await?)?;
        let schemas: List<Schema> = decode(&scim.place, scim.get("/Schemas").await?)?;
        let names: Vec<String> = types.resources.iter().map(|resource_type| resource_type.name.clone()).collect();
        let schema = |id: &str| {
            let found = schemas.resources.iter().find(|schema| schema.id == id).cloned();
            found.ok_or_else(|| unexpected(&scim.place, &format!("it lists no schema {id}")))
        };
        let shape = |found: &ResourceType| {
            let core = schema(&found.schema)?;
            let extensions = found.schema_extensions.iter().map(|extension| schema(&extension.schema));
            let extensions = extensions.collect::<Result<_, CommandError>>()?;
            Ok(Shape::new(found.name.clone(), found.endpoint.clone(), core, extensions, &names))
        };
        types.resources.iter().map(shape).collect::<Result<_, CommandError>>().map(Self)
    }

    /// The type of this name, in any case.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|shape| shape.name.eq_ignore_ascii_case(name))
    }

    /// The type that a resource says it has: by `meta.resourceType`, else by the core schema among its `schemas`.
    pub(super) fn of(&self, resource: &Map<String, Value>) -> Option<usize> {
        let named = resource.get("meta").and_then(|meta| meta["resourceType"].as_str());
        if let Some(found) = named.and_then(|name| self.named(name)) {
            return Some(found);
        }
        let urns: Vec<&str> = resource.get("schemas")?.as_array()?.iter().filter_map(Value::as_str).collect();
        self.0.iter().position(|shape| urns.iter().any(|urn| urn.eq_ignore_ascii_case(&shape.core.id)))
    }

    /// Their names, for people.
    pub(super) fn names(&self) -> String {
        self.0.iter().map(|shape| shape.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether any type lists other resources in an attribute of this name.
    pub(super) fn is_link(&self, name: &str) -> bool {
        self.0.iter().any(|shape| shape.links.iter().any(|link| link == name))
    }
}

impl Shape {
    fn new(name: String, endpoint: String, core: Schema, extensions: Vec<Schema>, types: &[String]) -> Self {
        let lists = |attribute: &&Attribute| {
            let subs = attribute.sub_attributes.iter().flatten();
            attribute.multi_valued && subs.into_iter().all(|sub| DERIVED.contains(&sub.name.as_str()))
        };
        let referring = |schema: &Schema| -> Vec<Attribute> {
            schema.attributes.iter().filter(|attribute| attribute.refers_to(types)).cloned().collect()
        };
        let links = referring(&core).iter().filter(lists).map(|attribute| attribute.name.clone()).collect();
        let mut references = Vec::new();
        let mut unique = Vec::new();
        for (extension, schema) in std::iter::once((None, &core)).chain(extensions.iter().map(|e| (Some(&e.id), e))) {
            let single = referring(schema).into_iter().filter(|attribute| !attribute.multi_valued);
            references
                .extend(single.map(|attribute| Reference { extension: extension.cloned(), name: attribute.name }));
            let own = schema.attributes.iter().filter(|attribute| attribute.is_unique() && !attribute.is_read_only());
            unique.extend(own.map(|attribute| match extension {
                Some(urn) => format!("{urn}:{}", attribute.name),
                None => attribute.name.clone(),
            }));
        }
        let read_only = core.attributes.iter().filter(|attribute| attribute.is_read_only());
        let read_only =
            ["id", "meta"].map(str::to_owned).into_iter().chain(read_only.map(|a| a.name.clone())).collect();
        let required = core.attributes.iter().filter(|a| a.required && a.kind == "string" && !a.multi_valued);
        let required = required.map(|attribute| attribute.name.clone()).collect();
        Self { name, endpoint, core, extensions, read_only, unique, required, links, references }
    }

    /// The definition behind an attribute's name, in the core schema or in the extension of this URN.
    pub(super) fn attribute(&self, extension: Option<&str>, name: &str) -> Option<&Attribute> {
        let schema = match extension {
            None => &self.core,
            Some(urn) => self.extensions.iter().find(|extension| extension.id == urn)?,
        };
        schema.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// Attributes of the core schema that list what other resources say already: a user's groups.
    pub(super) fn told_elsewhere(&self) -> impl Iterator<Item = &str> {
        let lists = |a: &&Attribute| a.multi_valued && a.is_read_only() && a.sub("$ref").is_some();
        self.core.attributes.iter().filter(lists).map(|attribute| attribute.name.as_str())
    }
}

fn decode<T: serde::de::DeserializeOwned>(place: &str, answer: Value) -> Result<T, CommandError> {
    serde_json::from_value(answer).map_err(|error| unexpected(place, &format!("its discovery: {error}")))
}

/// An answer that no scimwell gives.
pub(super) fn unexpected(place: &str, reason: &str) -> CommandError {
    CommandError::Answer { url: place.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// Users with a manager, groups with members.
    pub(in crate::command::data) fn shapes() -> Shapes {
        let reference = |types: &[&str]| {
            json!([{ "name": "value", "type": "string" },
                { "name": "$ref", "type": "reference", "referenceTypes": types }])
        };
        let user = json!({ "id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [
            { "name": "userName", "type": "string", "required": true, "uniqueness": "server" },
            { "name": "active", "type": "boolean" },
            { "name": "name", "type": "complex", "subAttributes": [{ "name": "familyName", "type": "string" }] },
            { "name": "emails", "type": "complex", "multiValued": true, "subAttributes": [
                { "name": "value", "type": "string" }, { "name": "type", "type": "string" },
                { "name": "primary", "type": "boolean" }] },
            { "name": "groups", "type": "complex", "multiValued": true, "mutability": "readOnly",
                "subAttributes": reference(&["Group"]) }] });
        let enterprise = json!({ "id": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "attributes": [
            { "name": "department", "type": "string" },
            { "name": "manager", "type": "complex", "subAttributes": reference(&["User"]) }] });
        let group = json!({ "id": "urn:ietf:params:scim:schemas:core:2.0:Group", "attributes": [
            { "name": "displayName", "type": "string", "required": true },
            { "name": "members", "type": "complex", "multiValued": true, "subAttributes": reference(&["User", "Group"]) }] });
        let schema = |value: Value| serde_json::from_value::<Schema>(value).unwrap();
        let types = ["User".to_owned(), "Group".to_owned()];
        Shapes(vec![
            Shape::new("User".into(), "/Users".into(), schema(user), vec![schema(enterprise)], &types),
            Shape::new("Group".into(), "/Groups".into(), schema(group), vec![], &types),
        ])
    }

    #[test]
    fn what_discovery_tells() {
        let shapes = shapes();
        let [user, group] = &shapes.0[..] else { panic!("{shapes:?}") };
        assert_eq!(user.unique, ["userName"]);
        assert_eq!(user.read_only, ["id", "meta", "groups"]);
        assert_eq!(user.told_elsewhere().collect::<Vec<_>>(), ["groups"]);
        assert_eq!(user.references[0].path(), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager");
        assert_eq!((user.links.len(), user.references.len()), (0, 1));
        assert_eq!((group.links.as_slice(), group.references.len()), (["members".to_owned()].as_slice(), 0));
        assert_eq!(group.required, ["displayName"]);
        assert!(shapes.is_link("members") && !shapes.is_link("groups"));
    }

    #[track_caller]
    fn check(resource: &Value, expect: Option<usize>) {
        assert_eq!(shapes().of(resource.as_object().unwrap()), expect);
    }

    #[test]
    fn the_type_of_a_resource() {
        check(&json!({ "meta": { "resourceType": "Group" } }), Some(1));
        check(&json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:user"] }), Some(0));
        check(&json!({ "userName": "ann" }), None);
        check(&json!({ "schemas": ["urn:a:b"] }), None);
    }
}
