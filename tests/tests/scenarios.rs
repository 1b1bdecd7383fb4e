//! What identity providers send, replayed over HTTP against `scimwell serve`; each scenario in a tenant of its own.

use std::fmt::Write;
use std::path::PathBuf;

use scimwell_tests::scenario::replay;
use scimwell_tests::server::{Server, TOKEN, workspace};
use serde_json::Value;

/// Of 46: the bar.
const BAR: usize = 40;

#[test]
fn identity_providers() {
    let path = std::env::var_os("SCIMWELL_SCENARIOS")
        .map_or_else(|| workspace().join("../shared/idp-scenarios.json"), PathBuf::from);
    let report_path = workspace().join("target").join("scenarios.txt");
    let write_report = |report: &str| {
        std::fs::create_dir_all(workspace().join("target")).expect("target/ can be made");
        std::fs::write(&report_path, report).expect("the report can be written");
    };
    let Ok(text) = std::fs::read(&path) else {
        // The recorded traffic is not part of this repository.
        write_report("no scenarios: SCIMWELL_SCENARIOS names a file of them\n");
        return;
    };
    let scenarios: Vec<Value> = serde_json::from_slice(&text).expect("the scenarios are a JSON array");
    let server = Server::dev();

    let mut report = String::new();
    let mut passed = 0;
    for scenario in &scenarios {
        let id = scenario["id"].as_str().expect("a scenario has an id");
        let mut client = server.client();
        let result = replay(scenario, &format!("r{id}").replace('-', ""), TOKEN, |request| {
            let mut request = request.clone();
            request.target = format!("/t/{id}/scim/v2{}", request.target);
            client.send(&request).map_err(|error| error.to_string())
        });
        let idp = scenario["idp"].as_str().unwrap_or_default();
        match result {
            Ok(()) => {
                passed += 1;
                writeln!(report, "pass  {idp:<32}{id}").expect("a String takes whatever is written");
            }
            Err(error) => {
                writeln!(report, "FAIL  {idp:<32}{id}\n    {error}").expect("a String takes whatever is written");
            }
        }
    }
    writeln!(report, "{passed} of {} pass", scenarios.len()).expect("a String takes whatever is written");
    print!("{report}");
    write_report(&report);
    assert!(passed >= BAR.min(scenarios.len()), "{passed} of {} scenarios pass, {BAR} must", scenarios.len());
}
