//! What a client sees of a resource: the document, the edges that are wanted, the projection.

use serde_json::Value;

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::project::Projection;
use crate::render::{self, Edges};
use crate::resource::Object;
use crate::schema::{ResourceType, Source};
use crate::store::Read;
use crate::store::edges;
use crate::store::repo::{Document, Loaded, Stored};

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
        let mut found = Edges::default();
        if members && has(Source::Members) {
            found.members = Some(edges::members(reader, &loaded.resource.id)?);
        }
        if memberships && has(Source::Memberships) {
            let (registry, id) = (&self.tenant.registry, &loaded.resource.id);
            found.memberships = Some(edges::memberships(reader, registry, id, loaded.edges)?);
        }
        Ok(render::resource(&self.tenant.registry, resource_type, loaded, &found, &self.request.base_url))
    }

    /// The response that shows one resource.
    pub(super) fn show(
        &self,
        reader: &impl Read,
        status: u16,
        resource_type: &ResourceType,
        loaded: Loaded,
    ) -> Result<Response> {
        let projection = self.projection(resource_type)?;
        let location = render::location(resource_type, &loaded.resource.id, &self.request.base_url);
        let version = loaded.version();
        let text = self.assembled(reader, resource_type, loaded, None, &projection)?;
        Ok(render::single(status, &version, &location, text))
    }

    /// The JSON text of a resource as the client sees it; its document is passed on as it is where nothing of it is left
    /// out.
    pub(super) fn text(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        stored: Stored,
        projection: &Projection<'_>,
    ) -> Result<Vec<u8>> {
        match projection.keeps_documents() {
            true => self.assembled(reader, resource_type, stored.shell, Some(&stored.document), projection),
            false => self.assembled(reader, resource_type, stored.loaded()?, None, projection),
        }
    }

    /// Edges are read only where they are wanted.
    fn assembled(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        loaded: Loaded,
        document: Option<&Document>,
        projection: &Projection<'_>,
    ) -> Result<Vec<u8>> {
        let wanted = |source| resource_type.attribute_from(source).filter(|attribute| projection.wants(attribute));
        let members = match wanted(Source::Members) {
            Some(attribute) => self.members(reader, &attribute.name, &loaded.resource.id, projection)?,
            None => b"{}".to_vec(),
        };
        let shell = self.whole(reader, resource_type, loaded, false, wanted(Source::Memberships).is_some())?;
        Ok(render::assembled(resource_type, projection.apply(shell), document, &members))
    }

    /// The members as the text of an object that has nothing else, or nothing at all where there are none. A batch at a time
    /// becomes text, which is far smaller than what it is made of.
    fn members(&self, reader: &impl Read, name: &str, id: &str, projection: &Projection<'_>) -> Result<Vec<u8>> {
        let (registry, base_url) = (&self.tenant.registry, &self.request.base_url);
        let mut text = Vec::new();
        edges::each_members(reader, id, |members| {
            if let Some(more) = render::members(registry, name, &members, projection, base_url) {
                match text.is_empty() {
                    true => text.extend_from_slice(format!("{{{}:[", Value::from(name)).as_bytes()),
                    false => text.push(b','),
                }
                text.extend_from_slice(more.as_bytes());
            }
            Ok(())
        })?;
        text.extend_from_slice(if text.is_empty() { b"{}" } else { b"]}" });
        Ok(text)
    }
}
