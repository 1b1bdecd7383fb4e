//! `scimwell check`: plays what identity providers send against any SCIM server, and tells what would break.
//!
//! - `catalogue` lists the checks. `rfc/`, `okta`, `entra/`, … are the sequences, each a plain function that reads as what the
//!   provider does.
//! - `session` sends and records, makes resources under names of its own and removes them; `exchange` is what it takes and
//!   gives; `expect` has the assertions; `wire` is HTTP.
//! - `report` shows the outcome as a table, as JSON or as JUnit XML.
//!
//! Architecture invariant: nothing here knows which server it talks to, ours included.

mod catalogue;
mod entra;
mod error;
mod exchange;
mod expect;
mod google;
mod jumpcloud;
mod okta;
mod onelogin;
mod options;
mod ping;
mod preflight;
mod report;
mod rfc;
mod session;
mod wire;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use self::catalogue::{Check, Provider, Severity, all};
pub use self::error::CheckError;
pub use self::options::{CheckOptions, Format};

use self::exchange::{Failure, Stop};
use self::session::{Session, Setting};

/// The exit code where checks failed. 2 is a command line that is wrong in itself.
const FAILED: u8 = 1;
/// The exit code where the server can't be checked at all.
const OUT_OF_REACH: u8 = 3;
/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;
/// So many checks without any answer, one after another, and the server counts as gone.
const GONE: usize = 3;

/// How a check came out.
#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(Box<Failure>),
    /// What it begins with could not be made.
    Blocked(Box<Failure>),
    Skipped(String),
}

/// A check that was run.
struct Ran {
    check: &'static Check,
    outcome: Outcome,
    requests: usize,
    took: Duration,
}

/// A run.
struct Run {
    url: String,
    /// What all names began with.
    prefix: String,
    ran: Vec<Ran>,
    /// What could not be deleted, and why.
    left: Vec<String>,
    /// Why it ended before its end.
    ended: Option<String>,
}

/// Runs the command to its end.
pub fn main(options: &CheckOptions) -> ExitCode {
    match run(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("scimwell: {error}");
            ExitCode::from(error.exit())
        }
    }
}

fn run(options: &CheckOptions) -> Result<u8, CheckError> {
    let checks = options.selected()?;
    if options.list {
        return print(&report::catalogue(&checks, options.format)).map(|()| 0);
    }
    let url = options.url.as_deref().unwrap_or_default();
    let mut session = Session::new(Setting {
        url,
        credentials: wire::credentials(options.token.as_deref(), &options.headers)?,
        domain: &options.domain,
        timeout: Duration::from_secs(options.timeout),
        patience: Duration::from_secs(options.patience),
    })?;
    preflight::reachable(&mut session, url)?;
    let progress = Progress { on: std::io::stderr().is_terminal(), all: checks.len() };
    let mut run = Run { url: url.to_owned(), prefix: session.prefix(), ran: Vec::new(), left: Vec::new(), ended: None };
    let interrupted = play(&mut session, &checks, &mut run, &progress);
    progress.end();
    let text = match options.format {
        Format::Table => report::table(&run, options.verbose),
        Format::Json => report::json(&run),
        Format::Junit => report::junit(&run),
    };
    print(&text)?;
    Ok(match interrupted {
        true => INTERRUPTED,
        false if run.ended.is_some() => OUT_OF_REACH,
        false => verdict(&run, options.fail_on),
    })
}

/// Plays the checks; whether somebody interrupted it.
fn play(session: &mut Session, checks: &[&'static Check], run: &mut Run, progress: &Progress) -> bool {
    let mut unanswered = 0;
    for (number, check) in checks.iter().enumerate() {
        progress.show(number, check.id);
        session.begin(check.provider);
        let started = Instant::now();
        let played = (check.play)(session);
        let (took, requests) = (started.elapsed(), session.requests());
        // After each check, so that little is left should the process be killed.
        run.left.extend(session.clean_up());
        let outcome = match played {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed(failure)) => Outcome::Failed(failure),
            Err(Stop::Blocked(failure)) => Outcome::Blocked(failure),
            Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
            Err(Stop::Interrupted) => {
                run.ended = Some(format!("interrupted after {number} of {} checks", checks.len()));
                return true;
            }
        };
        unanswered = match &outcome {
            Outcome::Failed(failure) | Outcome::Blocked(failure) if failure.unreachable => unanswered + 1,
            _ => 0,
        };
        run.ran.push(Ran { check, outcome, requests, took });
        if unanswered == GONE {
            run.ended =
                Some(format!("the server no longer answers; {} checks were not run", checks.len() - number - 1));
            return false;
        }
    }
    false
}

fn verdict(run: &Run, fail_on: Severity) -> u8 {
    let fails = |ran: &Ran| match ran.outcome {
        Outcome::Failed(_) => ran.check.severity >= fail_on,
        // Nobody knows what it would have shown.
        Outcome::Blocked(_) => true,
        Outcome::Passed | Outcome::Skipped(_) => false,
    };
    if run.ran.iter().any(fails) { FAILED } else { 0 }
}

fn print(text: &str) -> Result<(), CheckError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CheckError::Output)
}

/// One line on a terminal's standard error that tells where the run is.
struct Progress {
    on: bool,
    all: usize,
}

impl Progress {
    fn show(&self, done: usize, id: &str) {
        if self.on {
            eprint!("\r\x1b[K[{:>3}/{}] {id}", done + 1, self.all);
        }
    }

    fn end(&self) {
        if self.on {
            eprint!("\r\x1b[K");
        }
    }
}
