//! `spin up` without Spin: serves a component on the stand-in, for tests and measurements where there is no `spin` command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use scimwell_tests::spin::{Application, Manifest, serve};
use tokio::net::TcpListener;

const USAGE: &str = "usage: spin-stand-in COMPONENT [--listen ADDRESS:PORT] [--sqlite FILE] [--variable NAME=VALUE]… \
                     [--allow ORIGIN]…";

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spin-stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let component = arguments.next().ok_or(USAGE)?;
    let mut manifest = Manifest::default();
    let mut listen = "127.0.0.1:0".to_owned();
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value; {USAGE}"))?;
        match option.as_str() {
            "--listen" => listen = value,
            "--sqlite" => manifest.sqlite = Some(PathBuf::from(value)),
            "--variable" => {
                let (name, value) = value.split_once('=').ok_or("--variable takes NAME=VALUE")?;
                manifest = manifest.variable(name, value);
            }
            "--allow" => manifest.outbound.push(value),
            unknown => return Err(format!("no option {unknown}; {USAGE}").into()),
        }
    }
    let bytes = std::fs::read(Path::new(&component)).map_err(|error| format!("{component}: {error}"))?;
    let application = Arc::new(Application::new(&bytes, manifest)?);
    let listener = TcpListener::bind(&listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, application).await?;
    Ok(())
}
