//! A small application with customers, users and sessions of its own, whose customers' identity providers provision the users.
//!
//! What it adds to be provisioned is four things, each a file: where SCIM's data is kept ([`storage`], the application's own
//! database), who may send it (the library's stored tokens), what is refused ([`seats`]) and what follows from a change
//! ([`directory`]). The rest is an application as it was before.

mod customers;
mod database;
mod directory;
mod seats;
mod sessions;
mod storage;
mod web;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use scimwell::changes::Delivery;
use scimwell::storage::Storage;
use scimwell::tokens::StoredTokens;
use scimwell::{CodeCache, Config, Engine, Provider, ScimService};
use tokio::net::TcpListener;

use crate::database::Database;
use crate::directory::Directory;
use crate::seats::Seats;
use crate::storage::SqliteStorage;
use crate::web::App;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// Address and port; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The application's database, one SQLite file.
    #[arg(long, default_value = "axum-app.db")]
    database: PathBuf,
    /// What the operator and the sign-on service prove themselves by; a new one is printed where none is given.
    #[arg(long, env = "AXUM_APP_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// When the application takes a change over: before the identity provider gets its answer, or behind it.
    #[arg(long, default_value = "before-reply")]
    delivery: When,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    BeforeReply,
    Background,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-app: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is told to end.
async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let database = Database::open(&options.database)
        .map_err(|error| format!("{}: the database can't be opened: {error}", options.database.display()))?;
    let provider = provisioning(&database, options.delivery).await?;

    let listener = TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    let secret = match options.secret {
        Some(secret) => secret,
        None => {
            let secret = sessions::generate()?;
            println!("the operator's secret, until the next start: {secret}");
            secret
        }
    };
    let app = web::router(App::new(database, &secret), ScimService::new(Arc::new(provider)));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(told_to_end()).await?;
    Ok(())
}

/// The SCIM provider on the application's database. What an earlier process had not taken over yet is when this returns.
async fn provisioning(database: &Database, when: When) -> Result<Provider, Box<dyn Error>> {
    let component = scimwell::component().ok_or(
        "this program was built without the SCIM component: run `cargo xtask build` in the workspace, then build it again",
    )?;
    let engine = match CodeCache::of_user() {
        Some(cache) => Engine::cached(component, Config::default(), &cache)?,
        None => Engine::new(component, Config::default())?,
    };
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::new(database.clone()));
    let tokens = Arc::new(StoredTokens::new(Arc::clone(&storage)));
    let seats = Arc::new(Seats::new(database.clone()));
    let directory = Arc::new(Directory::new(database.clone(), Arc::clone(&seats)));
    let delivery = match when {
        When::BeforeReply => Delivery::BeforeReply,
        When::Background => Delivery::Background,
    };
    Ok(Provider::new(Arc::new(engine), storage, tokens, seats).on_change(directory, delivery).await?)
}

/// Ends with SIGTERM or Ctrl-C; requests that are being answered are finished.
async fn told_to_end() {
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_else(|_| std::process::abort()) };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminated) = signal(SignalKind::terminate()) else { return interrupted.await };
        tokio::select! {
            () = interrupted => {}
            _ = terminated.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
