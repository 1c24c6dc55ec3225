//! What a run used is counted the same, wherever it ran.

use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_tests::{Executor, Server};
use serde_json::Value;

use super::body;

/// Traps where its input is negative; without the end of the module, which its manifest comes before. What is counted
/// up to the last call inside of it is not lost with the trap.
const TRAPS: &str = r#"(module
  (memory (export "memory") 2)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func $count)
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 4096))))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 65536))))
    (i32.const 0))
  (func (export "rulebox_reset"))
  (func (export "rulebox_eval") (param $rows i32) (result i32) (local $row i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (call $count)
        (if (f64.lt (f64.load offset=4096 (i32.shl (local.get $row) (i32.const 3))) (f64.const 0)) (then unreachable))
        (i32.store8 offset=40960 (local.get $row) (i32.const 0))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $next)))
    (i32.const 0))"#;

const MANIFEST: &str = r#"{"abi": 1, "name": "traps", "inputs": [{"name": "x", "type": "num", "optional": false}],
  "params": [], "outs": [], "statements": [], "spans": [], "uses_time": false,
  "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0, "state_bytes": 0}"#;

fn start(directory: &Path, more: &[(&str, &str)]) -> Server {
    let settings = [&[("RULEBOX_TENANT__MODULES", "true"), ("RULEBOX_USAGE__FLUSH_SECONDS", "1")], more].concat();
    Server::try_start(directory, &settings).unwrap()
}

/// Evaluations, bars and fuel, once there have been so many of the first.
fn used(server: &Server, key: &str, evaluations: u64) -> [u64; 3] {
    let began = Instant::now();
    loop {
        let total = &body(server.get(key, "/v1/usage"), 200)["total"];
        let counts = ["evaluations", "bars", "fuel"].map(|name| total[name].as_u64().unwrap());
        if counts[0] >= evaluations {
            return counts;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{counts:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Uploads the module and streams bars to it: once to their end, and once to a violation. Gives what was used by each.
fn streams(server: &Server) -> [[u64; 3]; 2] {
    let key = server.key.clone().unwrap();
    let manifest = MANIFEST.replace('"', "\\\"").replace('\n', " ");
    let module = wat::parse_str(format!("{TRAPS} (@custom \"rulebox.manifest\" \"{manifest}\"))")).unwrap();
    let post = |path: &str, kind: &'static str| {
        server.client().post(format!("{}{path}", server.api)).bearer_auth(&key).header("content-type", kind)
    };
    body(post("/v1/rules?name=traps", "application/wasm").body(module).send(), 201);
    // So few that they come at once: how bars are cut into calls depends on how they come.
    let stream = |numbers: [i32; 8]| {
        let lines = numbers.map(|number| format!("{{\"x\":{number}}}\n")).concat();
        let answer = post("/v1/rules/traps/evaluate", "application/x-ndjson").body(lines).send().unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().unwrap())
    };
    let (status, said) = stream([1; 8]);
    let trailer: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert!(status == 200 && !trailer.to_string().contains("error"), "{said}");
    let whole = used(server, &key, 1);
    let (_, said) = stream([1, 1, 1, 1, 1, 1, -1, 1]);
    assert!(said.contains("sandbox_violation") && said.contains("\"trap\""), "{said}");
    let both = used(server, &key, 2);
    [whole, std::array::from_fn(|at| both[at] - whole[at])]
}

#[test]
fn a_stream_that_ends_in_a_violation_is_counted_the_same_in_executors() {
    let directory = tempfile::tempdir().unwrap();
    let alone = start(&directory.path().join("all"), &[]);
    let place = format!("unix:{}/executor.sock", directory.path().display());
    let _executor = Executor::start(&place, &[]);
    let api =
        start(&directory.path().join("api"), &[("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", &place)]);
    let (here, there) = (streams(&alone), streams(&api));
    assert_eq!(here, there);
    let [whole, stopped] = here;
    assert_eq!((whole[0], whole[1], stopped[0]), (1, 8, 1));
    assert!(0 < stopped[2] && stopped[2] < whole[2], "{here:?}");
}
