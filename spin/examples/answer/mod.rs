//! The answer of both components that the bench measures beside ours.

pub(crate) mod bindings {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::pedantic,
        reason = "generated from wit/, where everything is documented"
    )]
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

use bindings::wasi::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// No body where all went well, else a failure.
pub(crate) fn empty(out: ResponseOutparam, went_well: bool) {
    let headers = Fields::new();
    // It fails for forbidden names only.
    let _ = headers.append("content-length", b"0");
    let response = OutgoingResponse::new(headers);
    let body = response.body().and_then(|body| OutgoingBody::finish(body, None).map_err(|_| ()));
    let answer = body.ok().filter(|()| went_well).map(|()| response);
    ResponseOutparam::set(out, answer.ok_or(ErrorCode::InternalError(None)));
}
