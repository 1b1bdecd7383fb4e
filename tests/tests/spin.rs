//! The component on Spin: the adapter under the storage contract, and both composed behind HTTP. By the stand-in, since
//! there is no `spin` command everywhere; `spin_up` runs the same over the real one.

use std::sync::Arc;

use scimwell::storage::{Storage, contract};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::workspace;
use scimwell_tests::spin::{Application, Bridge, Manifest};

fn component(file: &str) -> Vec<u8> {
    let path = workspace().join("target/components").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_contract() {
    let directory = DataDirectory::new("spin-contract");
    let manifest = Manifest { sqlite: Some(directory.path().join("sqlite.db")), ..Manifest::default() };
    let application = Application::new(&component("scimwell-spin.wasm"), manifest).expect("the adapter compiles");
    let storage: Arc<dyn Storage> = Arc::new(Bridge::new(application));
    let violations = contract::check(&storage).await;
    assert!(violations.is_empty(), "{violations:#?}");
}
