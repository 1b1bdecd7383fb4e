//! Dry runs: `Scimwell-Dry-Run: true` on POST, PUT, PATCH, DELETE and Bulk.
//!
//! Everything runs as it would, the checks, uniqueness and the policy's word included, and the answer is the one that the
//! real request would get, with `scimwell-dry-run: true` added; a new resource's id stands for the one that it would get.
//! Nothing is committed. All operations of a bulk request are one rehearsed transaction, so that the later ones see what the
//! earlier ones would have done.

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::http::{Header, Request, Response};
use crate::store::Mode;

/// The header field's name, in requests and in answers.
pub const HEADER: &str = "scimwell-dry-run";

/// Whether what the request does is to stay. A value that is neither `true` nor `false` is 400: taken as either, it would
/// do what the client did not mean.
pub fn mode(request: &Request) -> Result<Mode> {
    match request.header(HEADER).map(str::trim) {
        None => Ok(Mode::Commit),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Mode::Commit),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Mode::Rehearse),
        Some(value) => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("Scimwell-Dry-Run: found \"{}\", expected true or false; nothing was changed", excerpt(value)),
        )),
    }
}

/// The answer, marked where it tells of a dry run.
pub fn mark(mode: Mode, mut response: Response) -> Response {
    if mode == Mode::Rehearse {
        response.headers.push(Header::new(HEADER, "true"));
    }
    response
}
