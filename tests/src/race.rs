//! Many at once.

use std::sync::Barrier;
use std::thread;

use crate::client::{Client, Request, Response};

/// Each client sends its request, all at the same moment; the answers in the order of the clients.
pub fn race(clients: Vec<Client>, request: impl Fn(usize) -> Request) -> Vec<Response> {
    let barrier = &Barrier::new(clients.len());
    thread::scope(|scope| {
        let racers: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(n, mut client)| {
                let request = request(n);
                scope.spawn(move || {
                    barrier.wait();
                    client.send(&request).expect("the server answers")
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("no racer panics")).collect()
    })
}

/// One of the answers is 201, and every other one 409 uniqueness.
#[track_caller]
pub fn one_was_created(answers: &[Response]) {
    let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1, "of {} racing creations", answers.len());
    for answer in refused {
        assert_eq!((answer.status, &answer.json()["scimType"]), (409, &"uniqueness".into()), "{answer}");
    }
}
