//! What a start prints to standard output: where the server is, and what to paste into an identity provider.

use std::fmt::Write as _;

/// What is known of the token at this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Just issued or generated: shown now and never again.
    New(String),
    /// Given with `--token`, so whoever started the server knows it.
    Given,
    /// Issued at an earlier start, and kept as a hash only.
    Earlier,
}

/// The text, after the line that says where the server listens. `root` is the public URL without the base path.
pub(super) fn text(root: &str, token: &Token, dev: bool) -> String {
    let base = format!("{root}/scim/v2");
    let shown = match token {
        Token::New(token) => token.as_str(),
        Token::Given => "(the one given with --token)",
        Token::Earlier => "(one issued earlier)",
    };
    let mut text = format!("SCIM base URL: {base}\n");
    match token {
        Token::New(token) if dev => _ = writeln!(text, "Token: {token}"),
        Token::New(token) => {
            _ = writeln!(
                text,
                "Token: {token}\n  Shown this once; keep it where secrets are kept. Tenant: default. It holds for a year, and \
                 administers the server too;\n  for one that reads and writes users and groups only: scimwell token create."
            );
        }
        Token::Given => text.push_str("Token: the one given with --token. Tenant: default.\n"),
        Token::Earlier => text.push_str(
            "Token: issued earlier and kept as a hash only. Another: scimwell token create. If the operator's is lost, start \
             with --token TOKEN to let another in.\n",
        ),
    }
    if dev {
        _ = writeln!(text, "Any tenant: {root}/t/TENANT/scim/v2. Everything is kept in memory and lost at the end.");
        return text;
    }
    _ = write!(
        text,
        "
Okta, app integration, Provisioning, Integration:
  SCIM connector base URL            {base}
  Unique identifier field for users  userName
  Authentication Mode                HTTP Header
  Authorization: Bearer              {shown}

Microsoft Entra ID, enterprise application, Provisioning, Admin Credentials:
  Tenant URL                         {base}
  Secret Token                       {shown}
"
    );
    if !root.starts_with("https://") {
        text.push_str(
            "\nBoth call from the cloud and insist on HTTPS: use --tls-cert and --tls-key, or a proxy and --base-url \
             https://….\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &Token, dev: bool, holds: &[&str], lacks: &[&str]) {
        let text = text("https://scim.example", token, dev);
        for part in holds {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        for part in lacks {
            assert!(!text.contains(part), "{part} is in\n{text}");
        }
    }

    #[test]
    fn says_what_to_paste() {
        let token = Token::New("scimwell_1".to_owned());
        check(
            &token,
            false,
            &["Tenant URL                         https://scim.example/scim/v2\n", "scimwell_1"],
            &["/t/"],
        );
        check(&token, true, &["Token: scimwell_1\n", "/t/TENANT/scim/v2"], &["Okta"]);
        check(&Token::Earlier, false, &["issued earlier", "--token TOKEN"], &["insist on HTTPS"]);
        check(&Token::Given, false, &["given with --token"], &["scimwell_"]);
    }

    #[test]
    fn warns_without_https() {
        assert!(text("http://127.0.0.1:8080", &Token::Given, false).contains("insist on HTTPS"));
    }
}
