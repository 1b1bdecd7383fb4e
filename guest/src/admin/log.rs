//! `/admin/log`: the tenant's log, oldest first, from where the reader left off.

use serde_json::{Value, json};

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::ops::Context;
use crate::render;
use crate::store::{Read, keys};

/// A page of records, each with its `sequence`. `next` is what to pass as `after` for what follows; `more` tells whether
/// there is anything now. Whoever reads on from `next` misses nothing and sees nothing twice.
pub(super) fn page<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let after = parameter(&ctx.request.target, "after")?.unwrap_or(0);
    let count = parameter(&ctx.request.target, "count")?;
    let count = count.map_or(limits::DEFAULT_PAGE, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let count = count.min(limits::LOG_PAGE);
    // One more than is shown tells whether there are more.
    let wanted = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    let mut entries = ctx.store.entries(&keys::log_after(after), false, wanted)?;
    let more = entries.len() > count;
    entries.truncate(count);
    let next = entries.last().map_or(after, |entry| keys::log_sequence(&entry.key));
    let record = |entry: &crate::store::Entry| {
        let mut record: Value = serde_json::from_slice(&entry.value).map_err(|error| {
            ScimError::new(ErrorKind::Internal, "The server failed to read its log.").with_log(error.to_string())
        })?;
        if let Value::Object(record) = &mut record {
            record.insert("sequence".to_owned(), keys::log_sequence(&entry.key).into());
        }
        Ok(record)
    };
    let records = entries.iter().map(record).collect::<Result<Vec<_>>>()?;
    Ok(render::json(200, &json!({ "records": records, "next": next, "more": more })))
}

/// A parameter that takes digits alone, so that there is nothing to decode.
fn parameter(target: &str, name: &str) -> Result<Option<u64>> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    match found {
        None | Some((_, "")) => Ok(None),
        Some((_, value)) => value.parse().map(Some).map_err(|_| {
            ScimError::new(
                ErrorKind::InvalidValue,
                format!("{name}: found {}, expected a whole number from 0", excerpt(value)),
            )
        }),
    }
}
