//! The URLs of Spin variables.

/// An absolute http or https URL.
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
    /// The variable `policy_url`: where to ask.
    pub fn policy(value: &str) -> Result<Self, String> {
        Self::of(value)
            .ok_or_else(|| "variable `policy_url`: a URL is expected, https://app.example.com/scim-policy".to_owned())
    }

    /// The variable `base_url`: what clients put before `/scim/v2` (wit/settings.wit).
    pub fn base(value: &str) -> Result<Self, String> {
        Self::of(value).filter(|_| !value.contains(['?', '#'])).ok_or_else(|| {
            format!(
                "variable `base_url`: {value:?} is no URL that clients could put before /scim/v2; \
                 give it as https://scim.example.com, or leave it empty to have it taken from each request"
            )
        })
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
        // What comes before an `@` would be a password in the clear.
        if authority.is_empty() || authority.contains('@') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { https, authority: authority.to_owned(), target })
    }

    /// The entry of `allowed_outbound_hosts` that it needs.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expect: Option<(&str, &str)>) {
        let found = Url::policy(value).ok().map(|url| (url.origin(), url.target));
        assert_eq!(found, expect.map(|(origin, target)| (origin.to_owned(), target.to_owned())), "{value}");
    }

    #[test]
    fn where_to_ask() {
        check("https://a.example/p?q=1#f", Some(("https://a.example", "/p?q=1")));
        check("http://127.0.0.1:8000", Some(("http://127.0.0.1:8000", "/")));
        check("https://a.example?q", Some(("https://a.example", "/?q")));
        for wrong in ["a.example", "ftp://a.example", "https://", "https:///p", "https://user:S@a.example"] {
            check(wrong, None);
        }
    }

    #[test]
    fn base_urls() {
        for fine in ["https://a.example", "http://127.0.0.1:3000/", "https://a.example/@id/scim/v2"] {
            assert!(Url::base(fine).is_ok(), "{fine}");
        }
        for wrong in ["a.example", "https://", "https://a.example?q", "https://a.example/#f", "https://a.example/b c"] {
            let said = Url::base(wrong).expect_err("it is no base URL");
            assert!(said.starts_with(&format!("variable `base_url`: {wrong:?}")), "{said}");
        }
    }
}
