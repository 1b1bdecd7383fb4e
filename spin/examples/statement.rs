//! An empty answer after one SQLite statement: what Spin takes for a connection and a statement, whatever a component does.

#![cfg(target_family = "wasm")]

mod answer;

use answer::bindings::exports::wasi::http::incoming_handler::Guest;
use answer::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use spin_sdk::sqlite3::Connection;

struct Statement;

impl Guest for Statement {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let asked = Connection::open("default").and_then(|db| db.execute("SELECT count(*) FROM sqlite_schema", &[]));
        answer::empty(out, asked.is_ok());
    }
}

answer::bindings::export!(Statement with_types_in answer::bindings);
