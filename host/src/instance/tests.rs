//! The grant rule, and what the host caps, without a guest.

use super::*;
use crate::authenticator::{AuthError, Permissions};
use crate::policy::{AllowAll, Refusal};
use crate::storage::Memory;
use wit_auth::Host as _;
use wit_policy::Host as _;
use wit_storage::{Host as _, HostStore as _};

/// Grants the tenant that the Authorization header names, as long as it is not `nobody`.
struct ByName;

#[async_trait::async_trait]
impl Authenticator for ByName {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        match credentials.authorization {
            Some(tenant) if tenant != "nobody" => {
                Ok(Principal { tenant, subject: "s".to_owned(), permissions: Permissions::ALL })
            }
            _ => Err(AuthError::Unauthenticated),
        }
    }
}

/// Refuses with a success status, and says whose change it was.
struct Refuses;

#[async_trait::async_trait]
impl Policy for Refuses {
    async fn review(&self, change: Change) -> Result<(), Refusal> {
        Err(Refusal { status: 200, scim_type: None, detail: format!("{} {}", change.tenant, change.subject) })
    }
}

fn instance(policy: impl Policy) -> Instance {
    let imports = Imports {
        storage: Arc::new(Memory::new()),
        authenticator: Arc::new(ByName),
        policy: Arc::new(policy),
        metrics: Arc::default(),
        deliveries: None,
    };
    Instance::new(Arc::new(imports), 1 << 20)
}

fn credentials(who: &str) -> wit_auth::Credentials {
    wit_auth::Credentials {
        authorization: Some(who.to_owned()),
        tenant_hint: None,
        client_certificate_subject: None,
        remote_address: None,
    }
}

async fn authenticate(instance: &mut Instance, who: &str) -> bool {
    instance.authenticate(credentials(who)).await.unwrap().is_ok()
}

async fn open(instance: &mut Instance, tenant: &str) -> Option<Resource<StoreHandle>> {
    match instance.open(tenant.to_owned()).await.unwrap() {
        Ok(handle) => Some(handle),
        Err(wit_storage::StoreError::AccessDenied) => None,
        Err(other) => panic!("{other:?}"),
    }
}

/// Whether all four calls on this store work, or all four are denied.
async fn works(instance: &mut Instance, store: &Resource<StoreHandle>) -> bool {
    let handle = || Resource::new_borrow(store.rep());
    let range = || wit_storage::KeyRange { start: vec![], end: vec![255] };
    let options = wit_storage::ScanOptions { reverse: false, keys_only: false, skip: 0, limit: 1 };
    let results = [
        instance.get(handle(), vec![vec![1]]).await.unwrap().is_ok(),
        instance.scan(handle(), range(), options).await.unwrap().is_ok(),
        instance.count(handle(), range()).await.unwrap().is_ok(),
        instance.commit(handle(), vec![], vec![]).await.unwrap().is_ok(),
    ];
    assert!(results.iter().all(|works| *works == results[0]), "{results:?}");
    results[0]
}

#[tokio::test]
async fn only_the_granted_tenant_opens() {
    let mut instance = instance(AllowAll);
    assert!(open(&mut instance, "acme").await.is_none());
    assert!(authenticate(&mut instance, "acme").await);
    assert!(open(&mut instance, "other").await.is_none());
    assert!(open(&mut instance, "").await.is_none());
    let store = open(&mut instance, "acme").await.unwrap();
    assert!(works(&mut instance, &store).await);
}

#[tokio::test]
async fn a_refusal_takes_the_grant_away() {
    let mut instance = instance(AllowAll);
    assert!(authenticate(&mut instance, "acme").await);
    let store = open(&mut instance, "acme").await.unwrap();
    assert!(!authenticate(&mut instance, "nobody").await);
    assert!(!works(&mut instance, &store).await);
    assert!(open(&mut instance, "acme").await.is_none());
}

#[tokio::test]
async fn handles_end_with_their_grant() {
    let mut instance = instance(AllowAll);
    assert!(authenticate(&mut instance, "acme").await);
    let old = open(&mut instance, "acme").await.unwrap();
    // Not even the same tenant's grant revives them.
    assert!(authenticate(&mut instance, "acme").await);
    assert!(!works(&mut instance, &old).await);
    let new = open(&mut instance, "acme").await.unwrap();
    assert!(works(&mut instance, &new).await);
}

#[tokio::test]
async fn an_instance_serves_one_tenant_in_all_its_life() {
    let mut instance = instance(AllowAll);
    assert!(authenticate(&mut instance, "acme").await);
    let store = open(&mut instance, "acme").await.unwrap();
    let error = wit_auth::Host::authenticate(&mut instance, credentials("other")).await.unwrap_err();
    assert!(error.is::<OtherPrincipal>());
    assert!(instance.principal().is_none() && open(&mut instance, "other").await.is_none());
    assert!(!works(&mut instance, &store).await);
}

#[tokio::test]
async fn nothing_is_granted_between_two_requests() {
    let mut instance = instance(AllowAll);
    assert!(!instance.rest(1 << 20), "it has served nobody");
    assert!(authenticate(&mut instance, "acme").await);
    assert!(instance.rest(1 << 20));
    assert!(open(&mut instance, "acme").await.is_none());
    assert!(authenticate(&mut instance, "acme").await);
    let _held = open(&mut instance, "acme").await.unwrap();
    assert!(!instance.rest(1 << 20), "it holds on to a store");
}

#[tokio::test]
async fn nobody_is_granted_the_hosts_own_space() {
    let mut instance = instance(AllowAll);
    assert!(!authenticate(&mut instance, "").await);
    assert!(open(&mut instance, "").await.is_none());
}

#[tokio::test]
async fn scans_are_bounded() {
    let mut instance = instance(AllowAll);
    assert!(authenticate(&mut instance, "acme").await);
    let store = open(&mut instance, "acme").await.unwrap();
    let range = wit_storage::KeyRange { start: vec![], end: vec![255] };
    let options = wit_storage::ScanOptions { reverse: false, keys_only: false, skip: 0, limit: SCAN_LIMIT + 1 };
    let scanned = instance.scan(store, range, options).await.unwrap();
    assert!(matches!(scanned, Err(wit_storage::StoreError::TooLarge)));
}

#[tokio::test]
async fn policy_hears_who_asks_from_the_host() {
    let mut instance = instance(Refuses);
    let change = || wit_policy::Change {
        tenant: "claimed".to_owned(),
        subject: "claimed".to_owned(),
        operation: wit_policy::Operation::Create,
        resource_type: "User".to_owned(),
        id: "1".to_owned(),
        before: None,
        after: None,
    };
    assert_eq!(instance.review(change()).await.unwrap().unwrap_err().status, 403);
    assert!(authenticate(&mut instance, "acme").await);
    let refusal = instance.review(change()).await.unwrap().unwrap_err();
    assert_eq!((refusal.status, refusal.detail.as_str()), (403, "acme s"));
}

#[test]
fn memory_cap_is_on_the_sum() {
    let mut cap = MemoryCap { limit: 100, used: 0, exceeded: false };
    assert!(cap.memory_growing(0, 60, None).unwrap());
    assert!(cap.memory_growing(60, 70, None).unwrap());
    assert!(cap.memory_growing(0, 30, None).unwrap());
    assert!(!cap.exceeded);
    assert!(!cap.memory_growing(30, 31, None).unwrap());
    assert!(cap.exceeded);
}

#[test]
fn output_is_kept_up_to_a_bound() {
    let output = Output::default();
    output.keep(&[b'a'; OUTPUT_KEPT - 1]);
    output.keep(b"bc");
    assert_eq!(output.0.lock().unwrap().len(), OUTPUT_KEPT);
    assert!(output.0.lock().unwrap().ends_with(b"ab"));
}
