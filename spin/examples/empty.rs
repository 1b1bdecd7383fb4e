//! An empty answer to every request: what the bench holds the component on Spin against.

#![cfg(target_family = "wasm")]

mod answer;

use answer::bindings::exports::wasi::http::incoming_handler::Guest;
use answer::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

struct Empty;

impl Guest for Empty {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        answer::empty(out, true);
    }
}

answer::bindings::export!(Empty with_types_in answer::bindings);
