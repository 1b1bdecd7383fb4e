//! The storage check behind HTTP, over whatever serves it.

use crate::client::{Request, Response};
use crate::race::race;
use crate::server::Server;

/// What fails of all cases by one caller and of the races by so many at once, each part a request of its own.
pub fn failures(server: &Server, parts: usize) -> Vec<String> {
    let mut client = server.client();
    let mut ask = |method, target: &str| client.send(&Request::new(method, target)).expect("the server answers");
    let listed = ask("GET", "/").json();
    let cases = listed.as_array().expect("the cases are listed");
    assert!(cases.iter().any(|case| case["race"] == true), "{listed}");
    let mut failures = Vec::new();
    let mut look = |target: &str, answer: &Response| {
        let passed = answer.status == 200 && answer.json()["verdict"] == "passed";
        if !passed {
            failures.push(format!("{target}: {answer}"));
        }
        passed
    };
    for case in cases {
        let target = format!("/{}", case["name"].as_str().expect("a case has a name"));
        look(&target, &ask("POST", &target));
        let prepare = format!("{target}/prepare");
        if case["race"] != true || !look(&prepare, &ask("POST", &prepare)) {
            continue;
        }
        let part = |n| format!("{target}/parts/{n}/{parts}");
        let clients = (0..parts).map(|_| server.client()).collect();
        let answers = race(clients, |n| Request::new("POST", part(n)));
        let ended = answers.iter().enumerate().filter(|(n, answer)| look(&part(*n), answer)).count();
        let conclude = format!("{target}/conclude/{parts}");
        if ended == parts {
            look(&conclude, &ask("POST", &conclude));
        }
    }
    failures
}
