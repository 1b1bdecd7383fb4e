//! The `scimwell` binary: see `scimwell --help`.

use std::process::ExitCode;

use clap::Parser;
use scimwell::server::{self, Command, CommandLine};

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
