//! An empty answer to every request: what the bench holds the component on Spin against.

#![cfg(target_family = "wasm")]

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package scimwell:empty;
            world empty {
                export wasi:http/incoming-handler@0.2.12;
            }
        ",
        world: "scimwell:empty/empty",
        generate_all,
        export_macro_name: "export",
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Empty;

impl Guest for Empty {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        // It fails for forbidden names only.
        let _ = headers.append("content-length", b"0");
        let response = OutgoingResponse::new(headers);
        let body = response.body().and_then(|body| OutgoingBody::finish(body, None).map_err(|_| ()));
        ResponseOutparam::set(out, body.map(|()| response).map_err(|()| ErrorCode::InternalError(None)));
    }
}

bindings::export!(Empty with_types_in bindings);
