//! The documents of the discovery endpoints (RFC 7644 §4, RFC 7643 §5 to §7).
