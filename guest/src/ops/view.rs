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
use crate::store::repo::{Loaded, Stored};

use super::Context;

impl<H: Host> Context<'_, H> {
    /// The projection that the request asks for.
    pub(super) fn projection<'t>(&self, resource_type: &'t ResourceType) -> Result<Projection<'t>> {
        Projection::parse(resource_type, self.query.attributes(), self.query.excluded_attributes())
    }

    /// A resource as the client sees it. Edges are read only where they are wanted.
    pub(super) fn view(
        &self,
        reader: &impl Read,
        resource_type: &ResourceType,
        loaded: Loaded,
        projection: &Projection<'_>,
    ) -> Result<Object> {
        let wants = |source| resource_type.attribute_from(source).is_some_and(|a| projection.wants(a));
        let whole = self.whole(reader, resource_type, loaded, wants(Source::Members), wants(Source::Memberships))?;
        Ok(projection.apply(whole))
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
        let view = self.view(reader, resource_type, loaded, &projection)?;
        let text = Value::Object(view).to_string().into_bytes();
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
        if !projection.keeps_documents() {
            let view = self.view(reader, resource_type, stored.loaded()?, projection)?;
            return Ok(Value::Object(view).to_string().into_bytes());
        }
        let Stored { document, shell } = stored;
        let shell = self.view(reader, resource_type, shell, projection)?;
        Ok(render::spliced(resource_type, shell, &document))
    }
}
