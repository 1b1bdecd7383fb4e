//! The `scimwell` binary: see `scimwell --help`.

use std::process::ExitCode;

use clap::Parser;
use scimwell::check;
use scimwell::command::{self, CommandError};
use scimwell::server::{self, Command, CommandLine};

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    let json = command.wants_json();
    let ended = match command {
        Command::Serve(options) => server::serve(options).map_err(CommandError::Start),
        Command::Check(options) => return check::main(&options),
        Command::Administration(command) => command::run(command),
    };
    let Err(error) = ended else { return ExitCode::SUCCESS };
    match error.scim_error().filter(|_| json) {
        Some(body) => eprintln!("{body}"),
        None => eprintln!("scimwell: {error}"),
    }
    ExitCode::from(error.exit() as u8)
}
