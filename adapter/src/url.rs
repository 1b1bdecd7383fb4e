//! Where something is asked over HTTP.

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
        let wrong = || "a URL is expected, https://app.example.com/scim, without a password".to_owned();
        let (scheme, rest) = setting.split_once("://").ok_or_else(wrong)?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // What comes before an `@` would be a password in the clear: there are settings for tokens.
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong());
        }
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { https, authority: authority.to_owned(), target })
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

#[cfg(test)]
mod tests {
    use super::*;

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
