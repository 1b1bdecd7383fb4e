//! Named and timed steps: the first that fails ends the run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, String)>,
}

impl Steps {
    /// Run one step; what it returns goes into the summary.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<String>) -> Result<()> {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let note = step().with_context(|| format!("step `{name}` failed after {}", seconds(started.elapsed())))?;
        eprintln!("==> {name}: {}", seconds(started.elapsed()));
        self.done.push((name, started.elapsed(), note));
        Ok(())
    }

    /// One line a step.
    pub(crate) fn summary(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for (name, took, note) in &self.done {
            writeln!(text, "{:>9}  {name:<28}{note}", seconds(*took)).expect("a String takes whatever is written");
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        write!(text, "{:>9}  in all", seconds(total)).expect("a String takes whatever is written");
        text
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
