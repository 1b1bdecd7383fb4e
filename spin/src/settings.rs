//! The component's Spin variables. Each is read when it is needed: a request that only reads pays for few.

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
