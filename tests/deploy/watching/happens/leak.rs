//! Memory that grows for hours. A stand-in serves the metrics of a process that does: the real one would have to run for as
//! long, in a control group with a limit.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Watch;

/// Metrics of a process that has run for four hours: a gigabyte is its limit, and it takes a hundred kilobytes a second.
fn metrics(leaks_since: Instant, start: u64) -> String {
    let resident = 500_000_000 + leaks_since.elapsed().as_millis() * 100;
    let mut text = String::new();
    for (name, value) in [
        ("rulebox_memory_limit_bytes", 1_000_000_000),
        ("process_resident_memory_bytes", resident),
        ("process_start_time_seconds", u128::from(start)),
    ] {
        writeln!(text, "# TYPE {name} gauge\n{name} {value}").unwrap();
    }
    text
}

/// Serves them, until the process of the test ends. Its address.
fn stand_in() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (began, now) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    let start = now.as_secs() - 4 * 3600;
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            // Prometheus' request is in one piece.
            let _ = connection.read(&mut request);
            let body = metrics(began, start);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n";
            let _ = write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[test]
fn memory_that_will_not_suffice_is_told() {
    let (began, address) = (Instant::now(), stand_in());
    let watch = Watch::start(std::slice::from_ref(&address));
    watch.told("RuleboxMemoryLeak", &address, "a stand-in's memory grows", began, "on-call-chat");
}
