//! A replica is killed in the middle of a stream. A stream keeps nothing on the server: whoever sees that the trailer
//! is missing sends his bars again, from the first on, to any replica, and gets the same bits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::Body;
use rulebox_tests::Server;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::stream_series::{ARROW, Answer, LINES, Reader, gzip, pieces, rows_in};
use super::{Replica, body, database};

/// State that tells each bar from every other, all verdicts but faults, and texts.
const RULE: &str = "rule tally(equity: num, drawdown: num) {\n let n = cum_sum(1)\n let mean = ema(equity, 50) ?? equity\n \
                    out count = n\n out mean = mean\n out total = cum_sum(equity)\n \
                    if drawdown >= 12% { breach liquidate \"drawdown {drawdown:.2%} at {equity:.2}\" }\n \
                    else if equity < mean { warn \"{equity:.2} under {mean:.2}\" }\n}";

/// Bars of a series: nine tenths of the answer to them are more than waits in buffers.
const BARS: u32 = 150_000;

/// When a replica is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Before it has a bar.
    Nothing,
    /// So many bars are sent, the others are not, and this part of those is answered.
    Sending { sent: u32, answered: u32 },
    /// All is sent, and so many bars are answered: the answer waits for its reader.
    Sent { answered: u32 },
}

fn moments() -> Vec<Moment> {
    let full = std::env::var_os("TESTS_FULL").is_some();
    let mut moments = vec![
        Moment::Nothing,
        Moment::Sending { sent: 1, answered: 1 },
        Moment::Sending { sent: BARS / 2, answered: BARS / 4 },
        Moment::Sending { sent: BARS - 1, answered: BARS / 10 * 9 },
        Moment::Sent { answered: 1 },
        Moment::Sent { answered: BARS / 10 },
    ];
    if full {
        for part in 1..20 {
            moments.push(Moment::Sending { sent: BARS / 20 * part + 1, answered: BARS / 20 * part - part * 311 });
            moments.push(Moment::Sent { answered: BARS / 200 * part });
        }
    }
    moments
}

impl Moment {
    /// Bars that may go out before the kill; `None`: all.
    const fn sent(self) -> Option<u32> {
        match self {
            Self::Nothing => Some(0),
            Self::Sending { sent, .. } => Some(sent),
            Self::Sent { .. } => None,
        }
    }

    const fn answered(self) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Sending { answered, .. } | Self::Sent { answered } => Some(answered),
        }
    }
}

/// Stops a sender where the replica shall die, and lets it go on when it has.
#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    is_open: AtomicBool,
    open: Notify,
}

impl Gate {
    async fn pass(&self) {
        self.reached.notify_one();
        while !self.is_open.load(Ordering::SeqCst) {
            self.open.notified().await;
        }
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        self.open.notify_one();
    }
}

/// A body of these pieces; the gate stands before the bar of number `at`.
fn gated(kind: &'static str, at: u32, gate: Arc<Gate>) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    // Something of it goes out in any case, so that the request is there.
    let head = pieces(kind, 0..at, BARS);
    let rest = pieces(kind, at..BARS, BARS);
    futures_util::stream::iter(head)
        .map(Ok)
        .chain(futures_util::stream::once(async move {
            gate.pass().await;
            Ok(Vec::new())
        }))
        .chain(futures_util::stream::iter(rest).map(Ok))
}

fn request(server: &Server, key: &str, kind: &'static str) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(5)).build().unwrap();
    let url = format!("{}/v1/rules/tally/evaluate", server.api);
    client.post(url).bearer_auth(key).header("content-type", kind)
}

/// The whole series, sent to a replica that lives.
async fn undisturbed(server: &Server, key: &str, kind: &'static str) -> Answer {
    let all = futures_util::stream::iter(pieces(kind, 0..BARS, BARS)).map(Ok::<_, std::io::Error>);
    let response = request(server, key, kind).body(Body::wrap_stream(all)).send().await.unwrap();
    let mut reader = Reader::of(kind);
    let mut answer = response.error_for_status().unwrap().bytes_stream();
    while let Some(bytes) = answer.next().await {
        reader.read(&bytes.unwrap());
    }
    reader.end()
}

/// Sends the series to a replica, and kills it at the moment; what it answered until then.
async fn killed(server: &Server, key: &str, kind: &'static str, moment: Moment) -> Answer {
    let gate = Arc::new(Gate::default());
    let kill = || {
        server.signal("KILL");
        gate.open();
    };
    let body = if let Some(at) = moment.sent() {
        request(server, key, kind).body(Body::wrap_stream(gated(kind, at, Arc::clone(&gate))))
    } else {
        // Compressed, so that all of it has gone out long before it is answered.
        let text: Vec<u8> = pieces(kind, 0..BARS, BARS).flatten().collect();
        request(server, key, kind).header("content-encoding", "gzip").body(gzip(&text))
    };
    let mut reader = Reader::of(kind);
    let Some(answered) = moment.answered() else {
        let (sent, ()) = tokio::join!(body.send(), async {
            gate.reached.notified().await;
            kill();
        });
        assert!(sent.is_err(), "{kind}, {moment:?}: an answer without a bar");
        return reader.end();
    };
    let response = body.send().await.unwrap().error_for_status().unwrap();
    let mut answer = response.bytes_stream();
    let mut is_killed = false;
    let cut = loop {
        if !is_killed && reader.rows() >= answered as usize {
            is_killed = true;
            kill();
        }
        match answer.next().await {
            Some(Ok(bytes)) => reader.read(&bytes),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(is_killed, "{kind}, {moment:?}: it ended after {} bars, before it was killed: {cut:?}", reader.rows());
    // A client that goes by the transport alone sees it too: the answer did not end, it was cut.
    assert!(cut.is_some(), "{kind}, {moment:?}: a cut answer ended as a whole one does");
    reader.end()
}

/// The text of the trailer but for the fuel: a call costs some beside its bars, and how many bars are run by one call
/// depends on how they arrived.
fn said_of_bars(answer: &Answer) -> (&str, &str) {
    let (before, fuel) = answer.trailer().expect("a trailer").split_once("\"fuel\":").unwrap();
    (before, fuel.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

#[test]
fn a_stream_that_a_killed_replica_cut_off_goes_on_at_the_other_bit_for_bit() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let redis = Redis::start();
    let url = redis.url();
    let start = || Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url)]);
    let (mut victim, other) = (start(), start());
    let key = victim.server.key.clone().unwrap();
    body(victim.server.post(&key, "/v1/rules", &json!({"source": RULE})), 201);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut kills, mut acknowledged, mut lost, mut doubled) = (0, 0, 0, 0);
    for kind in [LINES, ARROW] {
        let calm = runtime.block_on(undisturbed(&other.server, &key, kind));
        let trailer: Value = serde_json::from_str(calm.trailer().expect("a trailer")).unwrap();
        assert_eq!((calm.rows(), &trailer["bars"], trailer.get("error")), (BARS as usize, &json!(BARS), None));
        for verdict in ["ok", "warn", "breach"] {
            assert!(trailer["counts"][verdict].as_u64() > Some(0), "{trailer:#}");
        }
        for moment in moments() {
            let part = runtime.block_on(killed(&victim.server, &key, kind, moment));
            victim.server.wait();
            assert!(part.trailer().is_none(), "{kind}, {moment:?}: a part with a trailer looks whole");
            let most = moment.sent().unwrap_or(BARS - 1) as usize;
            let least = moment.answered().unwrap_or(0) as usize;
            assert!((least..=most).contains(&part.rows()), "{kind}, {moment:?}: {} bars", part.rows());
            let again = runtime.block_on(undisturbed(&other.server, &key, kind));
            assert!(calm.begins_with(&part), "{kind}, {moment:?}: what the dead replica said is said otherwise");
            assert!(again.begins_with(&calm) && again.rows() == calm.rows(), "{kind}, {moment:?}: other rows");
            assert_eq!(said_of_bars(&again), said_of_bars(&calm), "{kind}, {moment:?}");
            // What the client has in the end: the bars that were acknowledged before, and behind them the others.
            let mut times = vec![0_u32; BARS as usize];
            let had = rows_in(&part);
            for bar in had.iter().chain(rows_in(&again).iter().skip(had.len())) {
                times[usize::try_from(*bar).unwrap()] += 1;
            }
            let (gone, twice) = (times.iter().filter(|n| **n == 0).count(), times.iter().filter(|n| **n > 1).count());
            println!("{kind}, {moment:?}: {} bars acknowledged, {gone} lost, {twice} doubled", part.rows());
            kills += 1;
            acknowledged += part.rows();
            lost += gone;
            doubled += twice;
            victim = start();
        }
    }
    println!(
        "{kills} kills in the middle of streams of {BARS} bars: {acknowledged} bars acknowledged before, {lost} lost, \
         {doubled} doubled"
    );
    assert_eq!((lost, doubled), (0, 0));
}
