//! A load that touches everything that the service counts.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::blocking::{RequestBuilder, Response};
use rulebox_tests::{output, rule};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::site::Site;

/// Rounds: what a series had when it was first scraped is no increase, so there is more of everything behind it.
const ROUNDS: usize = 4;
/// Between two, more than a scrape.
const PAUSE: Duration = Duration::from_millis(1_500);

/// A module that behaves for nine bars, which is as long as its trial, and breaks the ABI at more.
const HOSTILE: &str = r#"(module
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 24576))))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 8192))))
    (i32.const 0))
  (func (export "rulebox_reset"))
  (func (export "rulebox_eval") (param $rows i32) (result i32) (i32.gt_u (local.get $rows) (i32.const 9)))"#;

/// What was answered must be this.
#[track_caller]
fn expect(answer: reqwest::Result<Response>, status: u16) -> Value {
    let answer = answer.unwrap();
    let (got, text) = (answer.status().as_u16(), answer.text().unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Requests of the tenant, and others.
struct Load<'a> {
    site: &'a Site,
    sent: usize,
}

impl Load<'_> {
    fn post(&mut self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.sent += 1;
        self.site.api.post(&self.site.key, path, body)
    }

    fn request(&mut self, path: &str) -> RequestBuilder {
        self.sent += 1;
        self.site.api.client().post(format!("{}{path}", self.site.api.api)).bearer_auth(&self.site.key)
    }

    /// Single bars, columns, faults, streams, a session, whoever is refused.
    fn round(&mut self, n: usize, session: &str, limited: &str) {
        for _ in 0..40 {
            let bar = json!({"inputs": {"equity": 100_000, "drawdown": 0.01}});
            expect(self.post("/v1/rules/probe/evaluate", &bar), 200);
        }
        let columns = json!({"columns": {"equity": vec![1; 2_000], "drawdown": vec![0.3; 2_000]}});
        expect(self.post("/v1/rules/probe/evaluate", &columns), 200);
        let fault = expect(self.post("/v1/rules/faulty/evaluate", &json!({"inputs": {"equity": 0}})), 200);
        assert!(fault.to_string().contains("fault"), "{fault}");

        let lines = "{\"equity\": 92000, \"drawdown\": 0.09}\n".repeat(500);
        let stream = self.request("/v1/rules/probe/evaluate").header("content-type", "application/x-ndjson");
        expect(stream.body(lines).send(), 200);
        for seq in 0..5 {
            let bar = json!({"seq": n * 5 + seq, "inputs": {"equity": 1, "drawdown": 0}});
            expect(self.post(&format!("/v1/sessions/{session}/bars"), &bar), 200);
        }
        expect(self.post(&format!("/v1/sessions/{session}/bars"), &json!({"seq": 900, "inputs": {"equity": 1}})), 409);

        expect(self.post("/v1/rules", &json!({"source": "rule broken(equity = "})), 422);
        let text = rule(100 + n).replace("probe", &format!("probe_{n}"));
        expect(self.post("/v1/rules", &json!({ "source": text })), 201);
        let unknown = self.site.api.get("rbx_nobody", "/v1/rules");
        expect(unknown, 401);
        expect(self.post("/v1/rules/none/evaluate", &json!({"inputs": {}})), 404);
        let refused = (0..20).filter(|_| self.site.api.get(limited, "/v1/rules").unwrap().status() == 429).count();
        assert!(refused > 0, "nobody is over the limit");
        self.sent += 21;
    }

    /// A module breaks the ABI, and a cursor is forged.
    fn attack(&mut self, n: usize) {
        let name = format!("hostile_{n}");
        let manifest = json!({
            "abi": 1, "name": name, "inputs": [{"name": "x", "type": "num", "optional": true}], "params": [],
            "outs": [], "statements": [], "spans": [], "uses_time": false,
            "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0, "state_bytes": 0,
        });
        let manifest = manifest.to_string().replace('"', "\\22");
        let module = wat::parse_str(format!("{HOSTILE} (@custom \"rulebox.manifest\" \"{manifest}\"))")).unwrap();
        let upload = self.request(&format!("/v1/rules?name={name}")).header("content-type", "application/wasm");
        expect(upload.body(module).send(), 201);
        let bars = json!({"columns": {"x": vec![1.0; 10]}});
        for _ in 0..5 {
            expect(self.post(&format!("/v1/rules/{name}/evaluate"), &bars), 422);
        }
        // The fifth stops it, as soon as that is known.
        until("it is stopped", || {
            self.sent += 1;
            self.site.api.post(&self.site.key, &format!("/v1/rules/{name}/evaluate"), &bars).unwrap().status() == 423
        });
        let cursor = format!("/v1/rules?cursor={}", "A".repeat(80));
        expect(self.site.api.get(&self.site.key, &cursor), 400);
    }

    /// Bars over a WebSocket; with `rude`, its last message is none.
    async fn socket(&mut self, session: &str, first: usize, rude: bool) {
        let url = format!("{}/v1/sessions/{session}/stream", self.site.api.api.replace("http", "ws"));
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {}", self.site.key).parse().unwrap());
        headers.insert("sec-websocket-protocol", "rulebox.session.v1".parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        for seq in first..first + 5 {
            let bar = json!({"seq": seq, "inputs": {"equity": 1, "drawdown": 0}}).to_string();
            socket.send(Message::text(bar)).await.unwrap();
            let answer = loop {
                match socket.next().await.unwrap().unwrap() {
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => break other,
                }
            };
            assert!(answer.is_text() && answer.to_text().unwrap().contains("\"bars\""), "{answer:?}");
        }
        if rude {
            socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
        } else {
            socket.close(None).await.unwrap();
        }
        while let Some(Ok(_)) = socket.next().await {}
        self.sent += 6;
    }
}

/// All of it; how many requests it was.
pub(super) fn run(site: &mut Site) -> usize {
    // A counter that rises is seen to rise by whoever has seen it before.
    until("Prometheus scrapes", || {
        let seen = site.prometheus.numbers("min(count_over_time(up[1m]))");
        seen.is_ok_and(|seen| seen.first().is_some_and(|n| *n >= 2.0))
    });
    // Nobody tries and runs rules yet: 503, again and again.
    let (began, mut early) = (Instant::now(), 0);
    while began.elapsed() < 2 * PAUSE {
        expect(site.api.post(&site.key, "/v1/rules", &json!({"source": rule(1)})), 503);
        early += 1;
    }
    site.start_executor();
    let (limited, security) = others(site);
    let mut load = Load { site, sent: early };
    until("the executor is connected", || {
        site.api.get(&site.key, "/v1/rules").is_ok()
            && metric_is(site, "rulebox_dependency_up{dependency=\"executors\"} 1")
    });

    expect(load.post("/v1/rules", &json!({"source": rule(1)})), 201);
    expect(load.post("/v1/rules", &json!({"source": "rule faulty(equity) = 1 / equity > 2"})), 201);
    let hook = expect(load.post("/v1/webhooks", &json!({"url": format!("{}/hook", site.told.url)})), 201);
    let hook = hook["id"].as_str().unwrap().to_owned();
    let made = |load: &mut Load<'_>| {
        let session = expect(load.post("/v1/sessions", &json!({"rules": ["probe"]})), 201);
        session["id"].as_str().unwrap().to_owned()
    };
    let [called, polite] = [(); 2].map(|()| made(&mut load));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for n in 0..ROUNDS {
        load.round(n, &called, &limited);
        load.attack(n);
        let rude = made(&mut load);
        runtime.block_on(load.socket(&polite, n * 5, false));
        runtime.block_on(load.socket(&rude, 0, true));
        expect(load.post(&format!("/v1/webhooks/{hook}/test"), &json!({})), 202);
        // Somebody looks at violations as they happen, and leaves.
        let events = site.api.client().get(format!("{}/v1/violations/stream", site.api.api)).bearer_auth(&security);
        let events = events.send().unwrap();
        assert_eq!(events.status(), 200);
        assert!(BufReader::new(events).lines().next().is_some());
        std::thread::sleep(PAUSE);
    }
    load.sent
}

/// Keys of a tenant that may hardly do anything, and of a reviewer.
fn others(site: &Site) -> (String, String) {
    let command = |arguments: &[&str]| {
        let (done, said) = output(arguments, &site.settings);
        assert!(done.success(), "{said}");
        said.lines().find(|line| line.starts_with("rbx_")).map(str::to_owned)
    };
    command(&["tenant", "create", "small", "--limit", "requests_per_second=1"]);
    let limited = command(&["key", "create", "--tenant", "small", "--role", "engine"]).unwrap();
    let security = command(&["key", "create", "--platform", "--role", "security"]).unwrap();
    (limited, security)
}

/// Whether the API has this line among its metrics.
fn metric_is(site: &Site, line: &str) -> bool {
    site.metrics().lines().any(|one| one == line)
}

/// Waits until it is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}
