//! The component's stack. Spin zeroes an instance's memory after each request, and Rust's 1 MiB of stack with it, of which
//! the adapter uses a few KiB: what nests in what it reads is JSON of at most 128 levels.

/// Bytes.
const STACK: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
