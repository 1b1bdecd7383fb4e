//! The question to the application, over wasi:http.

use crate::bindings::exports::scimwell::provider::policy::{Change, Refusal};
use crate::http::{Post, post};
use crate::policy::{OnFailure, Verdict, question, unanswered, verdict};
use crate::settings::Settings;
use crate::url::Url;

/// How long to wait for each step of an answer, in nanoseconds: a client waits meanwhile.
const TIMEOUT: u64 = 5_000_000_000;
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// Asks the application of the setting `policy_url`, if there is one. What goes wrong is written by `log`; `remedy` are its
/// last words where nobody is reached.
pub fn review<S: Settings>(
    settings: &S,
    change: &Change,
    remedy: impl Fn(&Url) -> String,
    log: impl Fn(&str),
) -> Result<(), Refusal> {
    let named = |name: &str, why: &str| format!("{}: {why}", settings.called(name));
    let url = match settings.get("policy_url") {
        Ok(url) if url.is_empty() => return Ok(()),
        url => url.and_then(|url| Url::configured(&url).map_err(|why| named("policy_url", &why))),
    };
    let answer = url.and_then(|url| {
        let (token, body) = (settings.get("policy_token")?, question(change));
        let post = post(&Post { url: &url, token: &token, body: &body, timeout: TIMEOUT, limit: ANSWER_BYTES });
        post.map_err(|error| format!("{}{}", error.words(), remedy(&url)))
    });
    let failure = match answer.map(|(status, body)| verdict(status, &body)) {
        Ok(Verdict::Allowed) => return Ok(()),
        Ok(Verdict::Refused(refusal)) => return Err(refusal),
        Ok(Verdict::Failed(why)) | Err(why) => why,
    };
    log(&failure);
    let wanted = settings.get("policy_failure");
    match wanted.and_then(|wanted| OnFailure::configured(&wanted).map_err(|why| named("policy_failure", &why))) {
        Ok(OnFailure::Open) => Ok(()),
        Ok(OnFailure::Closed) => Err(unanswered()),
        Err(why) => {
            log(&why);
            Err(unanswered())
        }
    }
}
