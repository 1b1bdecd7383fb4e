//! The JSON text of a resource, written at once: what is stored is passed on as it is, and only what is made for the answer
//! is made.

use serde::Serialize;
use serde_json::Value;

use crate::datetime;
use crate::project::Projection;
use crate::resource::Timestamp;
use crate::schema::{Registry, ResourceType, Source};
use crate::store::edges::Member;
use crate::store::memberships::Membership;

/// A resource in its parts, as the client is to see it.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'p> {
    /// Its type.
    pub resource_type: &'p ResourceType,
    /// Its id.
    pub id: &'p str,
    /// The URNs of the extensions that it has attributes of.
    pub extensions: &'p [String],
    /// Its stored attributes as a JSON object, projected.
    pub attributes: &'p [u8],
    /// The elements of its members, separated by commas, projected.
    pub members: &'p [u8],
    /// What it is a member of.
    pub memberships: &'p [Membership<'p>],
    /// `meta.created`
    pub created: Timestamp,
    /// `meta.lastModified`
    pub modified: Timestamp,
    /// `meta.location`
    pub location: &'p str,
    /// `meta.version`
    pub version: &'p str,
}

/// RFC 7643 §3.1
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'p str>,
}

/// One end of an edge as an element of `members` or `groups` (RFC 7643 §2.4).
#[derive(Serialize)]
pub(super) struct Edge<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'p str>,
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'p str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'p str>,
}

impl<'p> Edge<'p> {
    /// A member, without the sub-attributes in `cut`.
    pub(super) fn member(registry: &Registry, base_url: &str, member: &'p Member, cut: &[&str]) -> Self {
        let Member { id, resource_type, display } = member;
        Self::new(registry, base_url, [id, resource_type, display, resource_type], cut)
    }

    /// What a resource is a member of, without the sub-attributes in `cut`.
    pub(super) fn membership(registry: &Registry, base_url: &str, of: &Membership<'p>, cut: &[&str]) -> Self {
        let how = if of.direct { "direct" } else { "indirect" };
        Self::new(registry, base_url, [of.id, of.resource_type, of.display, how], cut)
    }

    fn new(
        registry: &Registry,
        base_url: &str,
        [id, resource_type, display, kind]: [&'p str; 4],
        cut: &[&str],
    ) -> Self {
        let kept = |name| !cut.contains(&name);
        let reference = || Some(super::location(registry.by_name(resource_type)?, id, base_url));
        Self {
            value: kept("value").then_some(id),
            reference: kept("$ref").then(reference).flatten(),
            display: (kept("display") && !display.is_empty()).then_some(display),
            kind: kept("type").then_some(kind),
        }
    }

    fn is_empty(&self) -> bool {
        self.value.is_none() && self.reference.is_none() && self.display.is_none() && self.kind.is_none()
    }
}

/// The members of a resource as text: elements separated by commas.
pub fn members(
    registry: &Registry,
    base_url: &str,
    name: &str,
    members: &[Member],
    projection: &Projection<'_>,
    text: &mut Vec<u8>,
) {
    let Some(cut) = projection.cut(name) else { return };
    elements(members.iter().map(|member| Edge::member(registry, base_url, member, cut)), text);
}

fn elements<'p>(edges: impl Iterator<Item = Edge<'p>>, text: &mut Vec<u8>) {
    for edge in edges.filter(|edge| !edge.is_empty()) {
        if !text.is_empty() {
            text.push(b',');
        }
        write(text, &edge);
    }
}

impl Parts<'_> {
    /// The resource's text, of what is made for the answer as much as the projection leaves.
    pub fn text(&self, registry: &Registry, base_url: &str, projection: &Projection<'_>) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.attributes.len() + self.members.len() + 600);
        if projection.cut("schemas").is_some() {
            field(&mut text, "schemas");
            write(&mut text, &super::urns(self.resource_type, |urn| self.extensions.iter().any(|e| e == urn)));
        }
        if projection.cut("id").is_some() {
            field(&mut text, "id");
            write(&mut text, self.id);
        }
        splice(&mut text, self.attributes);
        let attribute = |source| Some(self.resource_type.attribute_from(source)?.name.as_ref());
        if let Some(name) = attribute(Source::Members) {
            array(&mut text, name, self.members);
        }
        if let Some(name) = attribute(Source::Memberships)
            && let Some(cut) = projection.cut(name)
        {
            let mut groups = Vec::new();
            let edges = self.memberships.iter().map(|of| Edge::membership(registry, base_url, of, cut));
            elements(edges, &mut groups);
            array(&mut text, name, &groups);
        }
        if let Some(meta) = projection.cut("meta").map(|cut| self.meta(cut)) {
            let at = text.len();
            field(&mut text, "meta");
            let start = text.len();
            write(&mut text, &meta);
            if text.len() - start == b"{}".len() {
                text.truncate(at);
            }
        }
        text.push(if text.is_empty() { b'{' } else { b'}' });
        if text.len() == 1 {
            text.push(b'}');
        }
        text
    }

    fn meta(&self, cut: &[&str]) -> Meta<'_> {
        let kept = |name| !cut.contains(&name);
        Meta {
            resource_type: kept("resourceType").then_some(&self.resource_type.name),
            created: kept("created").then(|| datetime::format(self.created)),
            last_modified: kept("lastModified").then(|| datetime::format(self.modified)),
            location: kept("location").then_some(self.location),
            version: kept("version").then_some(self.version),
        }
    }
}

/// The name of the next member, and what comes before it.
fn field(text: &mut Vec<u8>, name: &str) {
    text.push(if text.is_empty() { b'{' } else { b',' });
    write(text, name);
    text.push(b':');
}

/// An array, unless it has no elements.
fn array(text: &mut Vec<u8>, name: &str, elements: &[u8]) {
    if !elements.is_empty() {
        field(text, name);
        text.push(b'[');
        text.extend_from_slice(elements);
        text.push(b']');
    }
}

/// The members of an object that is text already.
fn splice(text: &mut Vec<u8>, object: &[u8]) {
    let members = object.get(1..object.len().saturating_sub(1)).unwrap_or_default();
    if !members.is_empty() {
        text.push(if text.is_empty() { b'{' } else { b',' });
        text.extend_from_slice(members);
    }
}

/// The JSON text of a string, or of a record of these modules.
pub(super) fn write(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Neither strings nor such records can fail to become JSON, nor can memory fail to be written to.
    let written = serde_json::to_writer(text, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

impl From<Edge<'_>> for Value {
    fn from(edge: Edge<'_>) -> Self {
        serde_json::to_value(edge).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::{Edges, resource};
    use crate::resource::{Object, Resource};
    use crate::schema::REGISTRY;
    use crate::store::edges::EdgeCounter;
    use crate::store::repo::Loaded;

    const BASE: &str = "https://example.com/scim/v2";
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    /// The text is what projecting the resource as a value gives, byte for byte.
    #[track_caller]
    fn check(ty: &str, attributes: &Value, wanted: Option<&str>, excluded: Option<&str>) {
        let ty = REGISTRY.by_name(ty).unwrap();
        let projection = Projection::parse(ty, wanted, excluded).unwrap();
        let Value::Object(attributes) = attributes.clone() else { panic!("{attributes}") };
        let attributes: Object = attributes;
        let member =
            |id: &str, display: &str| Member { id: id.into(), resource_type: "User".into(), display: display.into() };
        let all_members = [member("u1", "Ada \"the first\""), member("u2", "")];
        let of = |id, display, direct| Membership { id, resource_type: "Group", display, direct };
        let all_memberships = [of("g1", "Büro", true), of("g2", "", false)];
        let is_group = ty.attribute_from(Source::Members).is_some();
        let members = if is_group { &all_members[..] } else { &[] };
        let memberships = if is_group { &[] } else { &all_memberships[..] };
        let of_id = Resource {
            id: "x".into(),
            attributes,
            created: 1_700_000_000_000,
            modified: 1_700_000_001_234,
            revision: 3,
        };
        let loaded = Loaded { resource: of_id, edges: EdgeCounter::default(), members_modified: None };

        let stored = Value::Object(projection.apply(loaded.resource.attributes.clone())).to_string();
        let mut elements = Vec::new();
        if let Some(attribute) = ty.attribute_from(Source::Members) {
            super::members(&REGISTRY, BASE, &attribute.name, members, &projection, &mut elements);
        }
        let extensions: Vec<String> =
            loaded.resource.attributes.keys().filter(|name| name.contains(':')).cloned().collect();
        let parts = Parts {
            resource_type: ty,
            id: "x",
            extensions: &extensions,
            attributes: stored.as_bytes(),
            members: &elements,
            memberships,
            created: loaded.resource.created,
            modified: loaded.modified(),
            location: &super::super::location(ty, "x", BASE),
            version: &loaded.version(),
        };
        let text = String::from_utf8(parts.text(&REGISTRY, BASE, &projection)).unwrap();
        let whole = resource(&REGISTRY, ty, loaded, Edges { members, memberships }, BASE);
        assert_eq!(text, Value::Object(projection.apply(whole)).to_string(), "{wanted:?} {excluded:?}");
    }

    #[test]
    fn the_text_is_what_projecting_the_value_gives() {
        let user = json!({
            "userName": "ada", "name": { "givenName": "Ada" }, "emails": [{ "value": "a@example.com", "type": "work" }],
            ENTERPRISE: { "department": "R&D" },
        });
        let group = json!({ "displayName": "Staff" });
        let names = [
            "userName",
            "displayName",
            "id",
            "schemas",
            "meta",
            "meta.version",
            "meta.location,meta.created",
            "groups",
            "groups.value",
            "groups.display,groups.type",
            "groups.$ref",
            "members",
            "members.value",
            "members.display",
            "members.type,members.$ref,members.value",
            "emails.type",
            ENTERPRISE,
            "nothing",
            "",
            "meta.resourceType,meta.created,meta.lastModified,meta.location,meta.version",
            "groups.value,groups.$ref,groups.display,groups.type",
        ];
        for (ty, document) in [("User", &user), ("Group", &group), ("User", &json!({})), ("Group", &json!({}))] {
            check(ty, document, None, None);
            for name in names {
                check(ty, document, Some(name), None);
                check(ty, document, None, Some(name));
            }
        }
    }
}
