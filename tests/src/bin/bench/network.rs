//! A network between two programs of this machine: a relay that holds each byte back for a certain time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const PART: usize = 64 * 1024;

/// Relays connections to `to` for as long as the process lives, each byte `delay` later. Threads that sleep rather than a
/// runtime's timers, which count in milliseconds.
pub(crate) fn relay(to: SocketAddr, delay: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(to) else { continue };
            for stream in [&near, &far] {
                // Whoever is behind it decides what is sent together.
                let _ = stream.set_nodelay(true);
            }
            if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
                one_way(near, far_too, delay);
                one_way(far, near_too, delay);
            }
        }
    });
    Ok(address)
}

/// One direction of a connection; ends with it.
fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, parts) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut part = vec![0; PART];
        while let Ok(length @ 1..) = from.read(&mut part) {
            if sender.send((Instant::now() + delay, part[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, part) in parts {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        // The other side hears of the end; that it knew already is no failure.
        let _ = to.shutdown(Shutdown::Both);
    });
}
