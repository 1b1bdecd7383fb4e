//! The settings, from the environment: `wasmtime serve --env SCIMWELL_STORAGE_URL=…`.

use scimwell_adapter::settings::Settings;

/// All of them: `storage_url` is called `SCIMWELL_STORAGE_URL` there.
pub struct Environment;

impl Settings for Environment {
    const SUBJECT: &'static str = "environment-variable";
    const REMEDY: &'static str = "if that is done, the host passes it on by name alone: `wasmtime serve --env`";

    fn get(&self, name: &str) -> Result<String, String> {
        match std::env::var(self.called(name)) {
            Ok(value) => Ok(value.trim().to_owned()),
            Err(std::env::VarError::NotPresent) => Ok(String::new()),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("{} is not UTF-8", self.called(name))),
        }
    }

    fn called(&self, name: &str) -> String {
        format!("SCIMWELL_{}", name.to_uppercase())
    }
}

/// Seconds to wait unless `storage_timeout` says otherwise.
const TIMEOUT: u64 = 10;
/// Seconds that it may say at most: clients give up earlier.
const MAX_TIMEOUT: u64 = 600;

/// The setting `storage_timeout` in nanoseconds.
pub fn timeout(setting: &str) -> Result<u64, String> {
    let seconds = match setting {
        "" => TIMEOUT,
        text => text
            .parse()
            .ok()
            .filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds))
            .ok_or_else(|| format!("a number of seconds from 1 to {MAX_TIMEOUT} is expected, found {text:?}"))?,
    };
    Ok(seconds * 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Environment.called("storage_url"), "SCIMWELL_STORAGE_URL");
        assert_eq!(Environment.get("nobody_sets_this"), Ok(String::new()));
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout(""), Ok(10_000_000_000));
        assert_eq!(timeout("1"), Ok(1_000_000_000));
        for wrong in ["0", "601", "-1", "1.5", "1s", "99999999999999999999"] {
            assert!(timeout(wrong).is_err(), "{wrong}");
        }
    }
}
