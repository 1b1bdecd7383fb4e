//! Every set-up step of scimwell: `cargo xtask build | serve | test | bench`.
//!
//! Architecture invariant: nothing here is linked into what is shipped; xtask runs the same commands a person could.

mod build;
mod foreign;
mod steps;
mod suite;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  build                    the guest components and the server that embeds them
  serve [arguments]        build, then run `scimwell serve` with the arguments
  test                     formatting, lints, all tests, documentation, the SCIM compliance suite
  bench [--quick | --scale] [rows]
                          build, then measure at 1,000 and 100,000 users; --quick at 1,000 alone, --scale at a million

build leaves target/release/scimwell, target/components/scimwell.wasm and target/components/scimwell-http.wasm.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    match command.as_str() {
        "build" => build::build(&Workspace::open()?, rest)?,
        "serve" => return build::serve(&Workspace::open()?, rest),
        "test" => suite::test(&Workspace::open()?, rest)?,
        "bench" => return build::bench(&Workspace::open()?, rest),
        "help" | "--help" | "-h" => println!("{USAGE}"),
        unknown => bail!("no command `{unknown}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}
