//! What stays open and what is large: WebSockets, feeds, streams, bodies; and clients that send nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rulebox_tests::Server;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{Change, Gateway, HOST, Tls, bearer, service, wait_for};

/// What a judge without a fault may wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
const EVALUATE: &str = "/v1/rules/check_custom_rule/evaluate";

/// A program that writes as it reads, and ends with its owner.
struct Curl(Child);

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Curl {
    /// curl that shows each byte as it comes, and its lines.
    fn open(gateway: &Gateway, path: &str, arguments: &[&str]) -> (Self, Lines) {
        let mut command = gateway.command(path, &[&["--no-buffer"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = Lines::of(child.stdout.take().unwrap());
        (Self(child), lines)
    }

    fn is_open(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

/// Lines as they come.
struct Lines(std::sync::mpsc::Receiver<String>);

impl Lines {
    fn of(stdout: ChildStdout) -> Self {
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody reads on: then nothing is missed.
                let _ = sender.send(line);
            }
        });
        Self(lines)
    }

    /// The next line that begins so, if it comes within the time.
    fn next(&self, beginning: &str, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            let line = self.0.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            if line.starts_with(beginning) {
                return Some(line);
            }
        }
    }
}

/// A session's WebSocket through the gateway.
pub(super) fn socket(gateway: &Gateway, key: &str) -> Result<tungstenite::WebSocket<Tls>, u16> {
    let session = gateway.curl("/v1/sessions", &["--header", &bearer(key), "--json", r#"{"rules": "*"}"#]);
    assert_eq!(session.status, 201, "{session:?}");
    let id = session.json()["id"].as_str().unwrap().to_owned();
    let request = tungstenite::http::Request::get(format!("wss://{HOST}/v1/sessions/{id}/stream"))
        .header("host", HOST)
        .header("authorization", format!("Bearer {key}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", tungstenite::handshake::client::generate_key())
        .header("sec-websocket-protocol", "rulebox.session.v1")
        .body(())
        .unwrap();
    match tungstenite::client(request, gateway.tls()) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Sends a bar and reads its answer.
pub(super) fn bar(socket: &mut tungstenite::WebSocket<Tls>, seq: u64) -> Result<Value, tungstenite::Error> {
    let message = json!({"seq": seq, "inputs": {"equity": 92_000, "drawdown": 0.01}});
    socket.send(Message::text(message.to_string()))?;
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(serde_json::from_str(&text).unwrap());
        }
    }
}

#[test]
fn a_websocket_goes_through_bar_by_bar() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    let mut socket = socket(&gateway, &key).unwrap();
    let began = Instant::now();
    for seq in 0..100 {
        let answer = bar(&mut socket, seq).unwrap();
        assert_eq!(answer["bars"][0]["seq"], seq, "{answer}");
    }
    println!("WebSocket: 100 bars, each answered before the next, in {:?}", began.elapsed());
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    let line = gateway.logged(|line| line["route"] == "session");
    assert_eq!((&line["status"], &line["protocol"]), (&json!(101), &json!("HTTP/1.1")));

    let closed = [("proxy.conf", "stream websocket$\" websocket;", "stream websocket$\" \"\";")];
    assert_eq!(self::socket(&Gateway::before(&server, &closed), &key).err(), Some(426));
}

/// An event through the gateway, while its answer is open; how long it took.
fn event(server: &Server, key: &str, gateway: &Gateway, protocol: &str, patience: Duration) -> Option<Duration> {
    let (mut curl, lines) = Curl::open(gateway, "/v1/violations/stream", &[protocol, "--header", &bearer(key)]);
    lines.next("id: ", patience)?;
    let began = Instant::now();
    let forged = server.get(key, &format!("/v1/rules?cursor={}", "A".repeat(80))).unwrap();
    assert_eq!(forged.status(), 400);
    let event = lines.next("event: violation", patience)?;
    assert!(event.starts_with("event: violation.") && curl.is_open());
    Some(began.elapsed())
}

#[test]
fn an_event_comes_while_the_feed_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    for protocol in ["--http1.1", "--http2"] {
        let came = event(&server, &key, &gateway, protocol, PATIENCE).unwrap();
        println!("SSE, {protocol}: an event came {came:?} after it happened, with the feed open");
    }
    let unheld = "set $route feed;\n    limit_conn open 1024;\n    proxy_buffering off;";
    let gateway = Gateway::before(&server, &[("routes.conf", unheld, "set $route feed;")]);
    assert_eq!(event(&server, &key, &gateway, "--http1.1", Duration::from_secs(3)), None);
}

/// Lines of a stream, each answered before the next is sent; how many.
fn conversation(gateway: &Gateway, key: &str, protocol: &str, patience: Duration) -> usize {
    let kind = "content-type: application/x-ndjson";
    let key = bearer(key);
    let arguments = [protocol, "--header", &key, "--header", kind, "--request", "POST", "--upload-file", "."];
    let (mut curl, lines) = Curl::open(gateway, EVALUATE, &arguments);
    let mut sent = curl.0.stdin.take().unwrap();
    for n in 0..20 {
        writeln!(sent, "{}", json!({"equity": 92_000, "drawdown": 0.09})).unwrap();
        if lines.next(&format!("{{\"bar\":{n},"), patience).is_none() {
            return n;
        }
    }
    drop(sent);
    let trailer = lines.next("{\"trailer\":", PATIENCE).unwrap();
    let trailer: Value = serde_json::from_str(&trailer).unwrap();
    assert_eq!((&trailer["trailer"]["bars"], &trailer["trailer"]["error"]), (&json!(20), &Value::Null));
    20
}

#[test]
fn a_stream_is_answered_before_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    for protocol in ["--http1.1", "--http2"] {
        let began = Instant::now();
        assert_eq!(conversation(&gateway, &key, protocol, PATIENCE), 20, "{protocol}");
        println!("{protocol}: 20 bars, each answered before the next was sent, in {:?}", began.elapsed());
    }
    // Held up until the request is whole.
    let held = [("routes.conf", "grpc_pass grpc://${track}_streams;", "proxy_pass http://$track$request_uri;")];
    let gateway = Gateway::before(&server, &held);
    assert_eq!(conversation(&gateway, &key, "--http1.1", Duration::from_secs(3)), 0);
}

const ROWS: u32 = 1_000_000;

/// A million bars, as columns and as lines.
fn bars() -> (String, String) {
    let (mut equity, mut drawdown, mut time, mut lines) = (String::new(), String::new(), String::new(), String::new());
    for row in 0..ROWS {
        let t = f64::from(row);
        let e = 100_000.0 + 9_000.0 * (t / 50_000.0).sin() + 500.0 * (t / 77.0).sin();
        let (d, at) = ((109_500.0 - e) / 109_500.0, 1_700_000_000_000_i64 + 60_000 * i64::from(row));
        let comma = if row == 0 { "" } else { "," };
        write!(equity, "{comma}{e:.14}").unwrap();
        write!(drawdown, "{comma}{d:.17}").unwrap();
        write!(time, "{comma}{at}").unwrap();
        writeln!(lines, "{{\"time\":{at},\"equity\":{e},\"drawdown\":{d}}}").unwrap();
    }
    (format!("\"columns\":{{\"time\":[{time}],\"equity\":[{equity}],\"drawdown\":[{drawdown}]}}}}"), lines)
}

/// Bars that the end of an answer says there were; none, if it is cut off.
fn counted(answer: &str) -> Value {
    let last = answer.trim_end().rsplit('\n').next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap_or_default();
    let one = if last["trailer"].is_object() { &last["trailer"] } else { &last };
    one["bars"].as_u64().map_or_else(|| one["rules"][0]["bars"].clone(), Value::from)
}

#[test]
fn a_million_bars_go_through_as_columns_and_as_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let (columns, lines) = bars();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let one = file("one", format!("{{{columns}"));
    let several = file("several", format!("{{\"rules\":\"*\",{columns}"));
    let lines = file("lines", lines);
    let send = |gateway: &Gateway, protocol: &str, path: &str, kind: &str, body: &str| {
        let (key, kind) = (bearer(&key), format!("content-type: {kind}"));
        let began = Instant::now();
        let more = ["--header", &key, "--header", &kind, "--request", "POST", "--upload-file", body];
        let answer = gateway.curl(path, &[&[protocol], &more[..]].concat());
        (answer.status, counted(&answer.body), began.elapsed())
    };
    let gateway = Gateway::before(&server, &[]);
    for (path, kind, body) in [
        (EVALUATE, "application/json", &one),
        ("/v1/evaluate", "application/json", &several),
        (EVALUATE, "application/x-ndjson", &lines),
    ] {
        let size = fs::metadata(body).unwrap().len();
        assert!(size > 54_000_000, "{size} bytes");
        for protocol in ["--http1.1", "--http2"] {
            let (status, bars, time) = send(&gateway, protocol, path, kind, body);
            println!("{protocol} {path} {kind}: {size} bytes, {time:?}");
            assert_eq!((status, bars), (200, json!(ROWS)), "{protocol} {path} {kind}");
        }
    }
    // What stands still by proxy_pass; the times are those after which nginx gives up.
    let halting = "proxy_request_buffering off; proxy_buffering off; proxy_read_timeout 5s; proxy_send_timeout 5s;\n    \
                   proxy_pass http://$track$request_uri;";
    let gateway = Gateway::before(&server, &[("routes.conf", "grpc_pass grpc://${track}_streams;", halting)]);
    let (_, bars, time) = send(&gateway, "--http1.1", EVALUATE, "application/x-ndjson", &lines);
    println!("by proxy_pass: {bars} bars, cut off after {time:?}");
    assert_ne!(bars, json!(ROWS));
    // Connections of both versions in one group.
    let mixed = [("routes.conf", "grpc://${track}_streams", "grpc://$track")];
    let gateway = Gateway::before(&server, &mixed);
    let mut lost = false;
    for _ in 0..20 {
        let plain = gateway.curl("/v1/limits", &["--header", &bearer(&key)]);
        let stream = gateway
            .curl(EVALUATE, &["--header", &bearer(&key), "--json", r#"{"inputs": {"equity": 1, "drawdown": 0}}"#]);
        lost |= plain.status != 200 || stream.status != 200;
    }
    assert!(lost, "one pool for both versions is not found to lose requests");
}

#[test]
fn what_is_too_large_is_refused_before_the_service_hears_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let large = directory.path().join("large");
    fs::File::create(&large).unwrap().set_len(70 << 20).unwrap();
    let (key, large) = (bearer(&key), format!("{}", large.display()));
    let judge = |gateway: &Gateway| {
        let mut reached = Vec::new();
        for (path, kind) in [
            ("/v1/rules", "text/plain"),
            ("/v1/rules", "application/wasm"),
            ("/v1/rules/check", "application/json"),
            ("/v1/sessions", "application/json"),
            ("/v1/evaluate", "application/json"),
            ("/v1/sessions/x/bars", "application/json"),
            ("/docs/", "application/json"),
        ] {
            let kind = format!("content-type: {kind}");
            for more in [&[][..], &["--http2"], &["--header", "content-encoding: gzip"]] {
                let all = ["--header", &key, "--header", &kind, "--request", "POST", "--upload-file", &large];
                let answer = gateway.curl(path, &[&all[..], more].concat());
                let line = gateway.logged(|line| line["request_id"] == answer.header("x-request-id").unwrap());
                let code = if answer.status == 413 { answer.json()["code"].clone() } else { Value::Null };
                if line["upstream"] != "" || code != "body_too_large" {
                    reached.push(format!("{path} {more:?}: {answer:?}"));
                }
            }
        }
        reached
    };
    assert_eq!(judge(&Gateway::before(&server, &[])), Vec::<String>::new());
    // Of no declared length: as soon as it is too long.
    let gateway = Gateway::before(&server, &[]);
    let chunked =
        ["--header", "transfer-encoding: chunked", "--header", &key, "--request", "POST", "--upload-file", &large];
    let answer = gateway.curl("/v1/rules", &[&["--http1.1"], &chunked[..]].concat());
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("body_too_large")));
    assert_eq!(gateway.logged(|line| line["status"] == 413)["upstream"], "");
    let wide: [Change<'_>; 1] = [("limits.conf", "client_max_body_size 2m", "client_max_body_size 200m")];
    assert!(!judge(&Gateway::before(&server, &wide)).is_empty());
}

/// How long a connection lasts whose client sends this and then nothing, if it ends in time.
fn lasts(gateway: &Gateway, request: &str, patience: Duration) -> Option<Duration> {
    let mut stream = gateway.tls();
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    let began = Instant::now();
    stream.sock.set_read_timeout(Some(patience)).unwrap();
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => None,
        _ => Some(began.elapsed()),
    }
}

#[test]
fn clients_that_send_nothing_are_sent_away() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    // A second each, so that this test takes no longer.
    let soon: [Change<'_>; 2] = [
        ("limits.conf", "client_header_timeout 10s", "client_header_timeout 1s"),
        ("limits.conf", "client_body_timeout 15s", "client_body_timeout 1s"),
    ];
    let head = format!("POST /v1/rules HTTP/1.1\r\nhost: {HOST}\r\n{}\r\ncontent-length: 1000\r\n", bearer(&key));
    let gateway = Gateway::before(&server, &soon);
    for (what, request) in [("the head", head.clone()), ("the body", format!("{head}\r\nrule"))] {
        let lasted = lasts(&gateway, &request, PATIENCE).unwrap_or_else(|| panic!("{what}: nobody is sent away"));
        println!("a client that stops in {what} is sent away after {lasted:?}");
        assert!(lasted > Duration::from_millis(500));
    }
    wait_for("both lines", || gateway.log().iter().filter(|line| line["status"] == 408).count() == 2);
    assert!(gateway.log().iter().all(|line| line["upstream"] == ""), "the service was asked");
    let late = [soon[0], ("limits.conf", "client_body_timeout 15s", "client_body_timeout 1h")];
    assert_eq!(lasts(&Gateway::before(&server, &late), &format!("{head}\r\nrule"), Duration::from_secs(4)), None);
}
