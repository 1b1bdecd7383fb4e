//! The `scimwell` binary: see `scimwell --help`.

use std::process::ExitCode;

use clap::Parser;
use scimwell::server::{self, Command, CommandLine};

/// Measured against the system's allocator: requests are mostly small, short-lived allocations on two threads each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let CommandLine { command: Command::Serve(options) } = CommandLine::parse();
    match server::serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scimwell: {error}");
            ExitCode::FAILURE
        }
    }
}
