//! A thousand WebSocket sessions at once, each a bar a second, while a replica is restarted: none is stuck, no bar is
//! lost or counted twice, memory stays what it was.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rulebox_tests::resident_bytes;
use rulebox_tests::servers::free_port;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Replica, body, database};

const SESSIONS: usize = 1_000;
/// A bar that is not answered for so long, with all trying again, is a stuck session.
const STUCK: Duration = Duration::from_mins(1);
/// Sessions that must be with the replica that is restarted: about half of all are.
const RESTARTED: u64 = 400;
/// Memory that a replica may have more at the end than when all sessions had come to it.
const GROWTH_BYTES: u64 = 48 << 20;
/// Memory of a session's connection, buffers and all.
const SOCKET_BYTES: u64 = 256 << 10;

/// Before, during and after the restart.
const PHASES: [u64; 3] = [0, 1, 2];

/// Each bar tells how many there were, and what they add up to.
const COUNTER: &str = "rule counter(equity) {\n let n = cum_sum(1)\n let total = cum_sum(equity)\n out count = n\n \
                       out sum = total\n if total > 1e12 { breach \"much\" }\n}";

fn time() -> Duration {
    if std::env::var_os("TESTS_FULL").is_some() { Duration::from_mins(30) } else { Duration::from_mins(2) }
}

/// What all sessions came to.
#[derive(Debug, Default)]
struct Tally {
    bars: AtomicU64,
    connections: AtomicU64,
    /// Sessions that a service which stops has closed.
    restarted: AtomicU64,
    /// Closes by a service that stops: who comes again too soon is told again.
    restarts: AtomicU64,
    /// Why connections were not made.
    refused: Mutex<BTreeMap<String, u64>>,
    /// One of [`PHASES`].
    phase: AtomicU64,
    slowest_ms: AtomicU64,
    /// Of bars that were under way during the restart.
    slowest_restart_ms: AtomicU64,
    /// Bars whose answer says that one before was lost, or counted twice.
    wrong: AtomicU64,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Session {
    id: String,
    key: String,
    replicas: [String; 2],
    /// Where it was connected last.
    at: usize,
    /// A service that stops has closed it.
    was_restarted: bool,
    tally: Arc<Tally>,
}

impl Session {
    /// Connects to the replica where it was, or else to the other one.
    async fn connect(&mut self) -> Socket {
        let began = Instant::now();
        loop {
            let url = format!("{}/v1/sessions/{}/stream", self.replicas[self.at].replace("http", "ws"), self.id);
            let mut request = url.into_client_request().unwrap();
            let headers = request.headers_mut();
            headers.insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
            headers.insert("sec-websocket-protocol", "rulebox.session.v1".parse().unwrap());
            let refused = match timeout(Duration::from_secs(10), connect_async(request)).await {
                Ok(Ok((socket, _))) => {
                    self.tally.connections.fetch_add(1, Ordering::Relaxed);
                    return socket;
                }
                Ok(Err(Error::Http(answer))) => {
                    let problem: Value = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
                    format!("{} {}", answer.status(), problem["code"])
                }
                Ok(Err(Error::Io(error))) => error.kind().to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            *self.tally.refused.lock().unwrap().entry(refused).or_default() += 1;
            assert!(began.elapsed() < STUCK, "session {} finds no replica", self.id);
            self.at = 1 - self.at;
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// One bar, until it is answered: over whatever connections that takes.
    async fn bar(&mut self, socket: &mut Socket, seq: u64) -> Value {
        let message = json!({"seq": seq, "inputs": {"equity": seq}}).to_string();
        let (began, phase) = (Instant::now(), self.tally.phase.load(Ordering::Relaxed));
        loop {
            assert!(began.elapsed() < STUCK, "session {} is stuck at bar {seq}", self.id);
            let answer = async {
                socket.send(Message::text(message.clone())).await.ok()?;
                loop {
                    match socket.next().await? {
                        Ok(Message::Text(text)) => return serde_json::from_str::<Value>(&text).ok(),
                        Ok(Message::Close(frame)) => {
                            if frame.is_some_and(|frame| u16::from(frame.code) == 1012) {
                                self.tally.restarts.fetch_add(1, Ordering::Relaxed);
                                let is_first = !std::mem::replace(&mut self.was_restarted, true);
                                self.tally.restarted.fetch_add(u64::from(is_first), Ordering::Relaxed);
                            }
                            return None;
                        }
                        Ok(_) => {}
                        Err(_) => return None,
                    }
                }
            };
            match timeout(STUCK, answer).await {
                Ok(Some(answer)) if answer["bars"].is_array() => {
                    let ms = u64::try_from(began.elapsed().as_millis()).unwrap();
                    let now = self.tally.phase.load(Ordering::Relaxed);
                    let slowest = if phase == now && phase != PHASES[1] {
                        &self.tally.slowest_ms
                    } else {
                        &self.tally.slowest_restart_ms
                    };
                    slowest.fetch_max(ms, Ordering::Relaxed);
                    return answer;
                }
                Ok(Some(problem)) => {
                    let passing = ["sessions_unavailable", "unavailable", "overloaded", "rate_limited"];
                    let code = problem["code"].as_str().unwrap_or_default();
                    assert!(passing.contains(&code), "bar {seq}: {problem:#}");
                    sleep(Duration::from_millis(200)).await;
                }
                _ => *socket = self.connect().await,
            }
        }
    }

    async fn run(mut self, phase: Duration, until: Instant) -> u64 {
        let mut ticks = interval_at(Instant::now() + phase, Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut socket = self.connect().await;
        let (mut seq, mut sum) = (0_u64, 0_u64);
        while Instant::now() < until {
            ticks.tick().await;
            let answer = self.bar(&mut socket, seq).await;
            sum += seq;
            seq += 1;
            let out = &answer["bars"][0]["rules"][0]["out"];
            #[expect(clippy::cast_precision_loss, reason = "sums far below 2^53")]
            let right = out["count"].as_f64() == Some(seq as f64) && out["sum"].as_f64() == Some(sum as f64);
            if !right {
                self.tally.wrong.fetch_add(1, Ordering::Relaxed);
            }
            self.tally.bars.fetch_add(1, Ordering::Relaxed);
        }
        let _ = socket.close(None).await;
        seq
    }
}

#[test]
fn a_thousand_sessions_go_on_while_a_replica_is_restarted() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let redis = Redis::start();
    let url = redis.url();
    let ports = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let start = |at: usize| {
        let settings = [
            ("RULEBOX_REDIS__URL", url.as_str()),
            ("RULEBOX_API__LISTEN", &ports[at]),
            ("RULEBOX_API__CONNECTIONS", "4000"),
        ];
        Replica::start_with(&database, &settings)
    };
    let (first, second) = (start(0), start(1));
    let key = first.server.key.clone().unwrap();
    body(first.server.post(&key, "/v1/rules", &json!({"source": COUNTER})), 201);
    let tally = Arc::new(Tally::default());
    let ids: Vec<String> = (0..SESSIONS)
        .map(|_| {
            let made = body(first.server.post(&key, "/v1/sessions", &json!({"rules": ["counter"]})), 201);
            made["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let replicas = ports.clone().map(|port| format!("http://{port}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let time = time();
    let until = Instant::now() + time;
    let sessions: Vec<_> = (0_u32..)
        .zip(&ids)
        .map(|(n, id)| {
            let (id, key, tally) = (id.clone(), key.clone(), Arc::clone(&tally));
            let session =
                Session { id, key, replicas: replicas.clone(), at: (n % 2) as usize, was_restarted: false, tally };
            // Spread over the second, as accounts are.
            runtime.spawn(session.run(Duration::from_micros(u64::from(n) * 1_000), until))
        })
        .collect();

    std::thread::sleep(time / 4);
    let half = resident_bytes(second.server.id());
    std::thread::sleep(time / 4);
    // In the middle: it is told to stop, and comes back.
    let (mut first, of) = (first, |count: &AtomicU64| count.load(Ordering::Relaxed));
    tally.phase.store(PHASES[1], Ordering::Relaxed);
    let began = Instant::now();
    first.server.signal("TERM");
    let (status, log) = first.server.wait();
    assert!(status.success(), "{log}");
    assert!(!log.contains("Redis is away"), "Redis was there all the time: {log}");
    let first = start(0);
    let away = began.elapsed();
    // Whoever was cut off has found the other one by now.
    while of(&tally.connections) < SESSIONS as u64 + of(&tally.restarts) {
        assert!(began.elapsed() < STUCK, "not all are connected again");
        std::thread::sleep(Duration::from_millis(10));
    }
    let settled = began.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    tally.phase.store(PHASES[2], Ordering::Relaxed);
    let whole = resident_bytes(second.server.id());
    let sent: Vec<u64> = sessions.into_iter().map(|session| runtime.block_on(session).unwrap()).collect();
    let end = resident_bytes(second.server.id());

    let mut lost = 0;
    for (id, sent) in ids.iter().zip(&sent) {
        let session = body(first.server.get(&key, &format!("/v1/sessions/{id}")), 200);
        lost += u64::from(session["next_seq"].as_u64() != Some(*sent));
    }
    println!(
        "{SESSIONS} sessions for {time:?}: {} bars, {} wrong, {lost} sessions that end elsewhere; slowest bar {} ms",
        of(&tally.bars),
        of(&tally.wrong),
        of(&tally.slowest_ms)
    );
    println!(
        "a replica away for {away:?}: {} sessions closed with 1012, all connected again after {settled:?}; slowest bar \
         meanwhile {} ms; {} connections in all; not made: {:?}",
        of(&tally.restarted),
        of(&tally.slowest_restart_ms),
        of(&tally.connections),
        tally.refused.lock().unwrap()
    );
    println!(
        "the replica that stayed: {} MiB with half of the sessions, {} MiB with all, {} MiB at the end",
        half >> 20,
        whole >> 20,
        end >> 20
    );
    assert_eq!((of(&tally.wrong), lost), (0, 0));
    let fewest = sent.iter().min().unwrap();
    assert!(*fewest > time.as_secs() / 4, "a session was stuck: it sent {fewest} bars in {time:?}");
    assert!(of(&tally.restarted) >= RESTARTED, "{} sessions lived through the restart", of(&tally.restarted));
    let (more, sockets) = (end.saturating_sub(half), SOCKET_BYTES * of(&tally.restarted));
    assert!(end < whole + GROWTH_BYTES, "memory grew from {whole} to {end}");
    assert!(more < sockets + GROWTH_BYTES, "memory grew from {half} to {end}");
}
