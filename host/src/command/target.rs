//! Who answers a command's requests: this process on local data, or a running server.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::{CommandError, Place};
use crate::authenticator::{Permissions, Principal};
use crate::policy::AllowAll;
use crate::provider::{Request, Response};
use crate::server::admin::{self, Call};
use crate::server::{StartError, StorageUrl, compile, open_postgres, open_redb};
use crate::storage::backup::Snapshot;
use crate::storage::{Storage, StoreError};
use crate::{Provider, tenants};

/// How long the component may take: some changes of the configuration read everything.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Who answers.
pub(super) enum Target {
    Local(Local),
    Server(Client),
}

/// Data that this process has open: alone, or with the hosts of the same database.
pub(super) struct Local {
    storage: Arc<dyn Storage>,
    component: Option<PathBuf>,
    /// Compiled once a command needs it.
    provider: OnceCell<Provider>,
}

impl Target {
    /// Opens the local data, or makes ready to call the server. `create` makes the directory where there is none.
    pub(super) async fn open(place: &Place, create: bool) -> Result<Self, CommandError> {
        if let Some(url) = &place.server {
            return Client::new(url, place.admin_token.as_deref()).map(Self::Server);
        }
        let directory = match &place.storage {
            None => &place.data,
            Some(StorageUrl::Redb(directory)) => directory,
            Some(StorageUrl::Memory) => return Err(CommandError::Memory),
            Some(StorageUrl::Postgres(url)) => {
                return Ok(Self::Local(Local::new(open_postgres(url).await?, place).await?));
            }
        };
        if !create && !directory.is_dir() {
            return Err(CommandError::NoData(directory.clone()));
        }
        let storage = match open_redb(directory) {
            Err(StartError::Storage { source: StoreError::InUse(_), .. }) => {
                return Err(CommandError::InUse { directory: directory.clone() });
            }
            opened => opened?,
        };
        Ok(Self::Local(Local::new(storage, place).await?))
    }

    /// A request about tenants and tokens; `path` is below `/admin`.
    pub(super) async fn records(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CommandError> {
        match self {
            Self::Server(client) => client.call(method, &format!("/admin{path}"), body).await,
            Self::Local(local) => {
                let body = body.map(Value::to_string).unwrap_or_default();
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let call = Call { method, path, query, body: body.as_bytes() };
                answer(&admin::records(&*local.storage, &operator(), &call).await)
            }
        }
    }

    /// A request about a tenant's configuration; `path` is below `/admin/tenants/{tenant}`.
    pub(super) async fn configuration(
        &self,
        tenant: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CommandError> {
        match self {
            Self::Server(client) => {
                let tenant = encoded(tenant);
                client.call(method, &format!("/admin/tenants/{tenant}{path}"), body).await
            }
            Self::Local(local) => {
                let acting = match admin::acting(&*local.storage, &operator(), tenant).await {
                    Ok(acting) => acting,
                    Err(refusal) => return answer(&refusal),
                };
                let request = Request {
                    method: method.to_owned(),
                    target: format!("/admin{path}"),
                    headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                    body: body.map(Value::to_string).unwrap_or_default().into_bytes(),
                    base_url: format!("http://localhost/t/{tenant}/scim/v2"),
                    tenant_hint: Some(tenant.to_owned()),
                    ..Request::default()
                };
                answer(&local.provider()?.acting_as(acting).handle(request).await)
            }
        }
    }
}

impl Local {
    async fn new(storage: Arc<dyn Storage>, place: &Place) -> Result<Self, CommandError> {
        // As a first start does.
        tenants::create(&*storage, tenants::DEFAULT).await?;
        Ok(Self { storage, component: place.component.clone(), provider: OnceCell::new() })
    }

    /// Everything, for a backup; `None` where the storage has other tools for that.
    pub(super) fn snapshot(&self) -> Option<Result<Snapshot, StoreError>> {
        self.storage.snapshot()
    }

    /// A provider of this tenant's resources, for its administrator; the error is the refusal where there is no such tenant.
    pub(super) async fn resources(self, tenant: &str) -> Result<Provider, CommandError> {
        match admin::acting(&*self.storage, &operator(), tenant).await {
            Ok(acting) => Ok(self.provider()?.acting_as(acting)),
            Err(refusal) => Err(answer(&refusal).err().unwrap_or_else(|| CommandError::NoTenant(tenant.to_owned()))),
        }
    }

    fn provider(&self) -> Result<&Provider, CommandError> {
        if let Some(provider) = self.provider.get() {
            return Ok(provider);
        }
        let engine = Arc::new(compile(self.component.as_deref(), TIMEOUT)?);
        let nobody = Arc::new(crate::tokens::StoredTokens::new(self.storage.clone()));
        let provider = Provider::new(engine, self.storage.clone(), nobody, Arc::new(AllowAll));
        Ok(self.provider.get_or_init(|| provider))
    }
}

/// Whoever may open the data may do everything with it.
fn operator() -> Principal {
    Principal { tenant: tenants::DEFAULT.to_owned(), subject: "command-line".to_owned(), permissions: Permissions::ALL }
}

fn answer(response: &Response) -> Result<Value, CommandError> {
    // A body that is not JSON still has its status.
    let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    accepted(response.status, body)
}

/// The body of a success.
pub(super) fn accepted(status: u16, body: Value) -> Result<Value, CommandError> {
    match status {
        200..300 => Ok(body),
        _ => Err(CommandError::Refused { status, body }),
    }
}

/// The text as one segment of a path (RFC 3986 §3.3), or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            _ if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) => encoded.push(char::from(byte)),
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments() {
        assert_eq!(encoded("urn:a:2.0:User"), "urn:a:2.0:User");
        assert_eq!(encoded("a/ü?"), "a%2F%C3%BC%3F");
    }
}
