//! The component's Spin variables. Each is read when it is needed: a request that only reads pays for few.

use scimwell_adapter::settings::Settings;
use spin_sdk::variables::{self, Error};

/// The variable's value; empty where the manifest doesn't define it. The error says what to do.
pub(crate) fn variable(name: &str) -> Result<String, String> {
    match variables::get(name) {
        Ok(value) => Ok(value.trim().to_owned()),
        // Without `inherit_configuration` all of them are undefined; whoever needs one says so then.
        Err(Error::Undefined(_)) => Ok(String::new()),
        Err(Error::InvalidName(why) | Error::Provider(why) | Error::Other(why)) => {
            Err(format!("variable `{name}` can't be read: {why}"))
        }
    }
}

/// All of them.
pub(crate) struct Variables;

impl Settings for Variables {
    const SUBJECT: &'static str = "spin-variable";
    const REMEDY: &'static str =
        "if that is done, the component's table `variables` lacks it, or the dependency does not inherit `variables`";

    fn get(&self, name: &str) -> Result<String, String> {
        variable(name)
    }

    fn called(&self, name: &str) -> String {
        format!("variable `{name}`")
    }
}
