//! The log as a reader sees it: pages of records, by the component's own `/admin/log`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Record;
use crate::error::{Error, Result};
use crate::provider::{Provider, Request};

/// Reads tenants' logs; made by [`Provider::change_log`].
///
/// Whoever keeps [`Page::next`] with what was made of the page, and goes on from there, misses nothing and sees nothing
/// twice. Nobody is authenticated: it is the application that reads its own data.
#[derive(Clone)]
pub struct ChangeLog {
    reader: Arc<Provider>,
}

/// Some records of a log, in its order.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// The `after` for what follows them.
    pub next: u64,
    /// Whether there is anything now.
    pub more: bool,
}

impl ChangeLog {
    /// Reads through a provider that takes the tenant of each request for granted.
    pub(crate) fn new(reader: Provider) -> Self {
        Self { reader: Arc::new(reader) }
    }

    /// Up to `count` records of the tenant, 1,000 at most, those after the sequence number `after`; 0 is before all.
    pub async fn page(&self, tenant: &str, after: u64, count: u32) -> Result<Page> {
        let failed = |detail: String| Error::Log { tenant: tenant.to_owned(), detail };
        let request = Request {
            method: "GET".to_owned(),
            target: format!("/admin/log?after={after}&count={count}"),
            tenant_hint: Some(tenant.to_owned()),
            ..Request::default()
        };
        let response = self.reader.handle(request).await;
        if response.status != 200 {
            let error: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let detail = error["detail"].as_str().unwrap_or("the server's log has the cause");
            return Err(failed(format!("the component answers {}: {detail}", response.status)));
        }
        let page = serde_json::from_slice(&response.body);
        let mut page: Page =
            page.map_err(|error| failed(format!("the component's answer is no page of a log: {error}")))?;
        for record in &mut page.records {
            tenant.clone_into(&mut record.tenant);
        }
        Ok(page)
    }
}
