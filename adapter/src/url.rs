//! The URLs among the settings: where something is asked, and where clients reach the service.

use crate::settings::Settings;

/// A URL in the parts that wasi:http takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether over TLS.
    pub https: bool,
    /// Host and port.
    pub authority: String,
    /// Path and query.
    pub target: String,
}

impl Url {
    /// The URL of a setting.
    pub fn configured(setting: &str) -> Result<Self, String> {
        Self::of(setting)
            .ok_or_else(|| "a URL is expected, https://app.example.com/scim, without a password".to_owned())
    }

    fn of(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // What comes before an `@` would be a password in the clear: there are settings for tokens.
        if authority.is_empty() || authority.contains('@') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { https, authority: authority.to_owned(), target })
    }

    /// Scheme, host and port: all that a message says of a URL, and Spin's `allowed_outbound_hosts` take.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// What is below this URL.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { target: format!("{}/{name}", self.target.trim_end_matches('/')), ..self.clone() }
    }
}

/// The setting `base_url`, where there is one: what clients put before `/scim/v2` (wit/settings.wit). The component refuses
/// to work with one that is wrong; `log` is where the operator is told why.
pub fn base_url<S: Settings>(settings: &S, log: impl Fn(&str, &str)) -> Option<String> {
    match settings.get("base_url") {
        Ok(url) if url.is_empty() => None,
        Ok(url) => {
            if !is_base(&url) {
                let why = format!(
                    "{}: {url:?} is no URL that clients could put before /scim/v2; give it as https://scim.example.com, or leave \
                     it empty to have it taken from each request",
                    settings.called("base_url")
                );
                log("no request can be answered", &why);
            }
            Some(url)
        }
        Err(why) => {
            log("the base URL is taken from the request", &why);
            None
        }
    }
}

fn is_base(url: &str) -> bool {
    Url::of(url).is_some() && !url.contains(['?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for fine in ["https://a.example", "http://127.0.0.1:3000/", "https://a.example/@id/scim/v2"] {
            assert!(is_base(fine), "{fine}");
        }
        for wrong in ["a.example", "https://", "https://a.example?q", "https://a.example/#f", "https://a.example/b c"] {
            assert!(!is_base(wrong), "{wrong}");
        }
    }

    #[track_caller]
    fn check(setting: &str, expect: Option<(&str, &str)>) {
        let found = Url::configured(setting).ok().map(|url| (url.origin(), url.target));
        assert_eq!(found, expect.map(|(origin, target)| (origin.to_owned(), target.to_owned())), "{setting}");
    }

    #[test]
    fn urls() {
        check("https://a.example/p?q=1#f", Some(("https://a.example", "/p?q=1")));
        check("http://127.0.0.1:8000", Some(("http://127.0.0.1:8000", "/")));
        check("https://a.example?q", Some(("https://a.example", "/?q")));
        for wrong in ["a.example", "ftp://a.example", "https://", "https:///p", "https://user:S@a.example"] {
            check(wrong, None);
        }
    }

    #[test]
    fn below() {
        for base in ["http://a.example/storage", "http://a.example/storage/"] {
            assert_eq!(Url::configured(base).unwrap().below("read").target, "/storage/read");
        }
        assert_eq!(Url::configured("http://a.example").unwrap().below("read").target, "/read");
    }
}
