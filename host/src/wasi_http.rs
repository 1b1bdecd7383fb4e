//! Runs the `wasi:http` build of the component, as Spin and `wasmtime serve` do, on the same backends.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use crate::authenticator::Authenticator;
use crate::engine::{Config, Runtime};
use crate::error::{Error, Result};
use crate::instance::{Imports, Instance};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::provider::{Failure, failed, new_request_id};
use crate::service::into_http;
use crate::storage::Storage;

/// A compiled component of world `service`, and what it needs from outside.
pub struct ServiceComponent {
    runtime: Runtime,
    proxy: ProxyPre<Instance>,
    imports: Arc<Imports>,
    base_url: Option<String>,
}

impl ServiceComponent {
    /// Compiles the component.
    pub fn new(
        component: &[u8],
        config: Config,
        storage: Arc<dyn Storage>,
        authenticator: Arc<dyn Authenticator>,
        policy: Arc<dyn Policy>,
    ) -> Result<Self> {
        const WORLD: &str = "scimwell:service/service@0.1.0";
        let runtime = Runtime::new(config)?;
        let proxy = runtime
            .instantiate_pre(component, None)
            .and_then(ProxyPre::new)
            .map_err(|source| Error::Component { world: WORLD, source })?;
        let metrics = Arc::new(Metrics::default());
        Ok(Self {
            runtime,
            proxy,
            imports: Arc::new(Imports { storage, authenticator, policy, metrics, deliveries: None }),
            base_url: None,
        })
    }

    /// The same under this public URL, `https://scim.example.com`, whatever a request says of it; where it is no absolute
    /// http or https URL, every request is answered 500.
    #[must_use]
    pub fn under(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Answers one request. The body is whole on both sides: what is tested here is the component, not streaming.
    pub async fn handle(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let response = match self.run(request).await {
            Ok(response) => return response,
            Err(failure) => failed(&failure, &new_request_id(), &self.imports.metrics),
        };
        // The host's own errors are HTTP; were one not, the status alone would say enough.
        into_http(response).unwrap_or_else(|_| {
            let mut http = http::Response::new(Bytes::new());
            *http.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            http
        })
    }

    /// By a fresh instance, as on Spin.
    async fn run(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Failure> {
        let turn = self.runtime.turn().await?;
        let mut store = self.runtime.store(self.imports.clone());
        store.data_mut().base_url.clone_from(&self.base_url);
        turn.call(&mut store, async |store| self.call(store, request).await).await
    }

    async fn call(
        &self,
        store: &mut Store<Instance>,
        request: http::Request<Bytes>,
    ) -> wasmtime::Result<http::Response<Bytes>> {
        let scheme = if request.uri().scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
        let request =
            request.map(|body| Full::new(body).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
        let request = store.data_mut().http().new_incoming_request(scheme, request)?;
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let instance = self.proxy.instantiate_async(&mut *store).await?;
        let handle = instance.wasi_http_incoming_handler().call_handle(&mut *store, request, out);
        let mut handle = std::pin::pin!(handle);
        let (response, finished) = tokio::select! {
            response = &mut receiver => (response.ok(), false),
            handled = &mut handle => {
                handled?;
                (receiver.try_recv().ok(), true)
            }
        };
        let Some(response) = response else {
            wasmtime::bail!("the component never set a response");
        };
        let (parts, body) = response?.into_parts();
        // The guest writes the body after it has set the response: both sides go on together.
        let rest = async { if finished { Ok(()) } else { handle.await } };
        let collect = async { Ok(body.collect().await?.to_bytes()) };
        let ((), body) = tokio::try_join!(rest, collect)?;
        Ok(http::Response::from_parts(parts, body))
    }
}
