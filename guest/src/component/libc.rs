//! Stand-ins for the six functions of wasi-libc through which std would import streams, environment and exit of wasi:cli,
//! though nothing here uses them: an embedder then implements our imports, clocks and random, and nothing else.
//!
//! The price: the text of a panic is lost. The trap and its backtrace remain.
#![allow(unsafe_code, reason = "the linker takes these in place of libc's by their names")]

use std::ffi::{c_char, c_int, c_void};

#[unsafe(no_mangle)]
extern "C" fn write(_fd: c_int, _bytes: *const c_void, _count: usize) -> isize {
    -1
}

#[unsafe(no_mangle)]
extern "C" fn writev(_fd: c_int, _vectors: *const c_void, _count: c_int) -> isize {
    -1
}

#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *mut c_char {
    std::ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn __wasilibc_ensure_environ() {}

#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn _Exit(_code: c_int) -> ! {
    core::arch::wasm32::unreachable()
}
