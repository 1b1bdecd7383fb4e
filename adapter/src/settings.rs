//! Where an adapter's settings come from: variables of Spin, the environment.

/// The settings of an adapter, by the names that Spin's manifest has for them: `token`, `policy_url`.
pub trait Settings {
    /// What an operator gave to a request that a token of the setting `token` lets in: the subject in the change log.
    const SUBJECT: &'static str;

    /// Where to look if a setting that was made is not there, for messages.
    const REMEDY: &'static str;

    /// The value, without surrounding white space; empty where there is none. The error says what to do.
    fn get(&self, name: &str) -> Result<String, String>;

    /// What the operator calls the setting, for messages: ``variable `token` ``.
    fn called(&self, name: &str) -> String;
}
