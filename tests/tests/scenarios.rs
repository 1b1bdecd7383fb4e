//! What identity providers send, replayed over HTTP against `scimwell serve`; each scenario in a tenant of its own.

use scimwell_tests::scenario::{recorded, replay_all};
use scimwell_tests::server::{Server, TOKEN, workspace};

/// Of 46: the bar.
const BAR: usize = 40;

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
    let (passed, report) = replay_all(&scenarios, &server, TOKEN);
    print!("{report}");
    write_report(&report);
    assert!(passed >= BAR.min(scenarios.len()), "{passed} of {} scenarios pass, {BAR} must", scenarios.len());
}
