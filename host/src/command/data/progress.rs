//! How far a command has come, for people who watch it: on standard error, and only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar to a known end.
pub(super) fn bar(what: &'static str, length: u64, in_bytes: bool) -> ProgressBar {
    let (done, all) = if in_bytes { ("{bytes}", "{total_bytes}") } else { ("{human_pos}", "{human_len}") };
    styled(ProgressBar::new(length), what, &format!("{{prefix}} {{wide_bar}} {done}/{all} {{msg}} {{eta}}"))
}

/// A count without a known end.
pub(super) fn counter(what: &'static str, in_bytes: bool) -> ProgressBar {
    let done = if in_bytes { "{bytes}" } else { "{human_pos}" };
    styled(ProgressBar::new_spinner(), what, &format!("{{spinner}} {{prefix}} {done} {{msg}} {{elapsed}}"))
}

fn styled(bar: ProgressBar, what: &'static str, template: &str) -> ProgressBar {
    // A template that indicatif can't read leaves its own.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_understood() {
        for template in
            ["{prefix} {wide_bar} {bytes}/{total_bytes} {msg} {eta}", "{spinner} {prefix} {human_pos} {msg} {elapsed}"]
        {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
