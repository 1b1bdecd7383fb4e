//! What RFC 7643 and RFC 7644 promise to any client.

pub(super) mod discovery;
pub(super) mod errors;
pub(super) mod groups;
pub(super) mod lists;
pub(super) mod options;
pub(super) mod patch;
pub(super) mod races;
pub(super) mod users;
