//! Every set-up step of scimwell: `cargo xtask build | compose | packages | serve | test | bench`.
//!
//! Architecture invariant: nothing here is linked into what is shipped; xtask runs the same commands a person could.

mod axum_app;
mod build;
mod compose;
mod foreign;
mod packages;
mod shrink;
mod spin;
mod steps;
mod suite;
mod wire;
mod wit;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  build                    the components and the server that embeds them
  compose                  the components alone, and with their adapters in one file: on Spin, over the wire
  packages [node | python] [--install]
                           the component as packages for npm and PyPI, in target/packages; and the applications on them, as
                           the tests run them, in target/node-app and target/python-app
  serve [arguments]        build, then run `scimwell serve` with the arguments
  test                     formatting, lints, all tests, documentation, the SCIM compliance suite
  bench [--quick | --scale] [rows]
                          build, then measure at 1,000 and 100,000 users; --quick at 1,000 alone, --scale at a million
  bench [--quick] --postgres
                           measure servers on one PostgreSQL database, if PostgreSQL is installed
  bench --slow-disk        how far writers at once share a sync, by how long one takes; if strace is installed
  bench --spin            the same on Spin, by its stand-in where there is no `spin` command, beside an empty component
  bench --embedders       a GET inside an application, instance included: in Rust, Node and Python
  bench --components FILES
                           builds of the component against the first of them: size and speed

build leaves target/release/scimwell and, in target/components, scimwell.wasm, scimwell-http.wasm, scimwell-spin.wasm,
scimwell-on-spin.wasm, scimwell-wire.wasm, scimwell-over-wire.wasm and scimwell-storage-check.wasm, with -http, -on-spin and
-over-wire in its name too.";

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
        "compose" => compose::compose(&Workspace::open()?, rest)?,
        "packages" => packages::packages(&Workspace::open()?, rest)?,
        "serve" => return build::serve(&Workspace::open()?, rest),
        "test" => suite::test(&Workspace::open()?, rest)?,
        "bench" => return build::bench(&Workspace::open()?, rest),
        "help" | "--help" | "-h" => println!("{USAGE}"),
        unknown => bail!("no command `{unknown}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}
