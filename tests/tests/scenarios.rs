//! What identity providers send, replayed over HTTP against `scimwell serve`: all of it under the profile `auto`, and each
//! provider's own under its profile. Each run has a tenant of its own.

use std::collections::BTreeMap;
use std::fmt::Write;

use scimwell_tests::client::Request;
use scimwell_tests::scenario::{recorded, replay};
use scimwell_tests::server::{Server, TOKEN, workspace};
use serde_json::{Value, json};

/// What a scenario's `idp` begins with, and the profile that is made for it. Who has none is `auto`'s.
const PROFILES: [(&str, &str); 6] = [
    ("Okta", "okta"),
    ("Entra", "entra"),
    ("OneLogin", "onelogin"),
    ("Ping", "ping"),
    ("JumpCloud", "jumpcloud"),
    ("Google", "google"),
];

#[test]
fn identity_providers() {
    let report_path = workspace().join("target").join("scenarios.txt");
    let write_report = |report: &str| {
        std::fs::create_dir_all(workspace().join("target")).expect("target/ can be made");
        std::fs::write(&report_path, report).expect("the report can be written");
    };
    let Some(scenarios) = recorded() else {
        write_report("no scenarios: SCIMWELL_SCENARIOS names a file of them\n");
        return;
    };
    let server = Server::dev();

    let mut report = String::new();
    // Passed and run, by profile.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let idp = scenario["idp"].as_str().unwrap_or_default();
        let own = PROFILES.into_iter().find(|(name, _)| idp.starts_with(name)).map(|(_, profile)| profile);
        for profile in std::iter::once("auto").chain(own) {
            let id = scenario["id"].as_str().expect("a scenario has an id");
            let result = run(&server, scenario, profile, &format!("{profile}-{number}"));
            let (passed, all) = counts.entry(profile).or_default();
            *all += 1;
            *passed += usize::from(result.is_ok());
            let (outcome, why) = match result {
                Ok(()) => ("pass", String::new()),
                Err(error) => ("FAIL", format!("\n    {error}")),
            };
            writeln!(report, "{outcome}  {profile:<11}{idp:<32}{id}{why}").expect("a String takes whatever is written");
        }
    }
    let by_profile: Vec<String> =
        counts.iter().map(|(profile, (passed, all))| format!("{profile} {passed} of {all}")).collect();
    writeln!(report, "{} pass", by_profile.join(", ")).expect("a String takes whatever is written");
    print!("{report}");
    write_report(&report);
    assert!(counts.values().all(|(passed, all)| passed == all), "{}", by_profile.join(", "));
}

/// In a new tenant of this name, with this profile.
fn run(server: &Server, scenario: &Value, profile: &str, tenant: &str) -> Result<(), String> {
    let mut client = server.client();
    let settings = Request::new("PATCH", format!("/t/{tenant}/scim/v2/admin/settings"));
    let settings = settings.bearer(TOKEN).json(&json!({ "profile": profile }));
    let set = client.send(&settings).map_err(|error| error.to_string())?;
    if set.status != 200 {
        return Err(format!("the profile is refused: {set}"));
    }
    replay(scenario, &format!("r{tenant}").replace('-', ""), TOKEN, |request| {
        let mut request = request.clone();
        request.target = format!("/t/{tenant}/scim/v2{}", request.target);
        client.send(&request).map_err(|error| error.to_string())
    })
}
