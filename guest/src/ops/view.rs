//! What a client sees of a resource: the document, the edges that are wanted, the projection.

use std::borrow::Cow;

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::project::Projection;
use crate::render::{self, Edges, Parts};
use crate::resource::{self, Object};
use crate::schema::{ResourceType, Source};
use crate::store::Read;
use crate::store::edges;
use crate::store::memberships::Memberships;
use crate::store::repo::{Loaded, Stored};

use super::Context;

impl<H: Host> Context<'_, H> {
    /// The projection that the request asks for.
    pub(super) fn projection<'t>(&self, resource_type: &'t ResourceType) -> Result<Projection<'t>> {
        Projection::parse(resource_type, self.query.attributes(), self.query.excluded_attributes())
    }

    /// A resource in full, with the edges that the caller needs.
    pub(super) fn whole(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        loaded: Loaded,
        members: bool,
        memberships: bool,
    ) -> Result<Object> {
        let has = |source| resource_type.attribute_from(source).is_some();
        let id = loaded.resource.id.clone();
        let members = match members && has(Source::Members) {
            true => edges::members(reader, &id)?,
            false => Vec::new(),
        };
        let of = (memberships && has(Source::Memberships)).then_some((id.as_str(), loaded.edges));
        let memberships = Memberships::read(reader, &self.tenant.registry, of)?;
        let edges = Edges { members: &members, memberships: &memberships.of(&id) };
        Ok(render::resource(&self.tenant.registry, resource_type, loaded, edges, &self.request.base_url))
    }

    /// The response that shows one resource.
    pub(super) fn show(
        &self,
        reader: &impl Read,
        status: u16,
        resource_type: &ResourceType,
        mut loaded: Loaded,
    ) -> Result<Response> {
        let projection = self.projection(resource_type)?;
        let location = render::location(resource_type, &loaded.resource.id, &self.request.base_url);
        let memberships = self.memberships(reader, [(resource_type, &projection, &loaded)])?;
        let attributes = std::mem::take(&mut loaded.resource.attributes);
        let extensions = resource_type.extensions.iter().map(|extension| extension.schema.id.to_string());
        let shown = Shown {
            extensions: &extensions.filter(|urn| attributes.contains_key(urn)).collect::<Vec<_>>(),
            attributes: &projected(attributes, &projection),
            memberships: &memberships,
        };
        let text = self.assembled(reader, resource_type, &loaded, shown, &projection)?;
        Ok(render::single(status, &loaded.version(), &location, text))
    }

    /// The JSON text of a resource as the client sees it; its document is passed on as it is where nothing of it is left
    /// out.
    pub(super) fn text(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        stored: &Stored,
        projection: &Projection<'_>,
        memberships: &Memberships,
    ) -> Result<Vec<u8>> {
        let attributes = match projection.keeps_documents() {
            true => Cow::Borrowed(&stored.document.attributes),
            false => Cow::Owned(projected(stored.document.resource(stored.id())?.attributes, projection)),
        };
        let shown = Shown { extensions: &stored.document.extensions, attributes: &attributes, memberships };
        self.assembled(reader, resource_type, &stored.shell, shown, projection)
    }

    /// What resources are members of, as far as it is wanted.
    pub(super) fn memberships<'r>(
        &self,
        reader: &impl Read,
        resources: impl IntoIterator<Item = (&'r ResourceType, &'r Projection<'r>, &'r Loaded)>,
    ) -> Result<Memberships> {
        let wanted = resources.into_iter().filter(|(resource_type, projection, _)| {
            resource_type.attribute_from(Source::Memberships).is_some_and(|attribute| projection.wants(attribute))
        });
        let of = wanted.map(|(_, _, loaded)| (loaded.resource.id.as_str(), loaded.edges));
        Memberships::read(reader, &self.tenant.registry, of)
    }

    fn assembled(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        loaded: &Loaded,
        shown: Shown<'_>,
        projection: &Projection<'_>,
    ) -> Result<Vec<u8>> {
        let (registry, base_url) = (&self.tenant.registry, &self.request.base_url);
        let id = &loaded.resource.id;
        let mut members = Vec::new();
        if let Some(attribute) = resource_type.attribute_from(Source::Members).filter(|a| projection.wants(a)) {
            // A batch at a time becomes text, which is far smaller than what it is made of.
            edges::each_members(reader, id, |batch| {
                render::members(registry, base_url, &attribute.name, &batch, projection, &mut members);
                Ok(())
            })?;
        }
        let parts = Parts {
            resource_type,
            id,
            extensions: shown.extensions,
            attributes: shown.attributes,
            members: &members,
            memberships: &shown.memberships.of(id),
            created: loaded.resource.created,
            modified: loaded.modified(),
            location: &render::location(resource_type, id, base_url),
            version: &loaded.version(),
        };
        Ok(parts.text(registry, base_url, projection))
    }
}

/// What is shown of a resource beside its shell.
#[derive(Clone, Copy)]
struct Shown<'s> {
    extensions: &'s [String],
    attributes: &'s [u8],
    memberships: &'s Memberships,
}

fn projected(attributes: Object, projection: &Projection<'_>) -> Vec<u8> {
    resource::text(&projection.apply(attributes)).into_bytes()
}
