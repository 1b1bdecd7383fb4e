//! An empty answer after one SQLite statement: what Spin takes for a connection and a statement, whatever a component does.

#![cfg(target_family = "wasm")]

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package scimwell:statement;
            world statement {
                export wasi:http/incoming-handler@0.2.12;
            }
        ",
        world: "scimwell:statement/statement",
        generate_all,
        export_macro_name: "export",
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use spin_sdk::sqlite3::Connection;

struct Statement;

impl Guest for Statement {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let asked = Connection::open("default").and_then(|db| db.execute("SELECT count(*) FROM sqlite_schema", &[]));
        let headers = Fields::new();
        // It fails for forbidden names only.
        let _ = headers.append("content-length", b"0");
        let response = OutgoingResponse::new(headers);
        let done = response.body().and_then(|body| OutgoingBody::finish(body, None).map_err(|_| ()));
        let done = done.and(asked.map_err(|_| ()));
        ResponseOutparam::set(out, done.map(|_| response).map_err(|()| ErrorCode::InternalError(None)));
    }
}

bindings::export!(Statement with_types_in bindings);
