//! World `scimwell:provider/provider`: for hosts and languages that bring their own HTTP.

use scimwell_guest::component;
use scimwell_guest::http::{Header, Request};

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        world: "scimwell:provider/provider",
        with: {
            "scimwell:provider/storage@0.1.0": scimwell_guest::component::storage,
            "scimwell:provider/authenticator@0.1.0": scimwell_guest::component::authenticator,
            "scimwell:provider/policy@0.1.0": scimwell_guest::component::policy,
        },
        export_macro_name: "export",
    });
}

use bindings::exports::scimwell::provider::handler;

struct Provider;

impl handler::Guest for Provider {
    fn handle(request: handler::Request) -> handler::Response {
        let response = component::handle(&Request {
            method: request.method,
            target: request.target,
            headers: request.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect(),
            body: request.body,
            base_url: request.base_url,
            client_certificate_subject: request.client_certificate_subject,
            tenant_hint: request.tenant_hint,
            remote_address: request.remote_address,
        });
        handler::Response {
            status: response.status,
            headers: response.headers.into_iter().map(|h| handler::Header { name: h.name, value: h.value }).collect(),
            body: response.body,
            log: response.log,
        }
    }
}

bindings::export!(Provider with_types_in bindings);
