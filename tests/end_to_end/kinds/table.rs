//! Every kind of violation: how it is brought about from outside, and what is to be recorded of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::{Executor, SetAtEnd};
use serde_json::{Value, json};

use super::guests::{TRIGGER, at_trigger, bomb, with, with_memory};
use super::tamper::{mix_webhooks, unmix_webhooks};
use super::world::{Answer, Site, Told, until};

/// Whom a violation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Tenant,
    Platform,
}

/// What a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Rule, version and digest.
    Version,
    /// Rule and digest: what was uploaded became no version.
    Upload,
    /// The module alone.
    Module,
    Nothing,
}

/// When it is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// While the service runs.
    Running,
    /// After somebody has changed what a service has left that was killed.
    Changed,
    /// In the service whose rules run in executors.
    Executors,
}

/// A kind.
pub struct Entry {
    pub kind: &'static str,
    pub severity: &'static str,
    pub of: Of,
    pub names: Names,
    pub when: When,
    pub trap: Option<&'static str>,
    /// Whether there was a run, of which fuel, memory and time are known.
    pub run: bool,
    /// Whether it is known whose request it was.
    pub caller: bool,
    /// Whether it is found behind the answer, which it does not wait for.
    pub behind: bool,
    /// Names of what there is beside all that.
    pub detail: &'static [&'static str],
    /// Brings it about: the answer to the request that did, if there was one.
    pub raise: fn(&World) -> Option<Answer>,
}

/// Two services, and what was prepared in them.
pub struct World {
    pub told: Told,
    pub main: Site,
    /// Its rules run in executors.
    pub near: Site,
    pub executors: Vec<Executor>,
    /// The file of the compiled code of the rule `cached`.
    pub cached: PathBuf,
    /// A webhook that is told of nothing that happens.
    pub crossed: String,
}

const RUN: Entry = Entry {
    kind: "",
    severity: "medium",
    of: Of::Tenant,
    names: Names::Version,
    when: When::Running,
    trap: None,
    run: true,
    caller: true,
    behind: false,
    detail: &[],
    raise: |_| None,
};
const UPLOAD: Entry = Entry { severity: "high", names: Names::Upload, run: false, ..RUN };
const SERVICE: Entry = Entry { severity: "critical", names: Names::Nothing, run: false, ..RUN };

/// Every one.
pub const KINDS: [Entry; 20] = [
    Entry {
        kind: "fuel_exhausted",
        raise: |world| Some(run(world, "fuel", at_trigger("(loop $again (br $again))", ""))),
        ..RUN
    },
    Entry {
        kind: "deadline_exceeded",
        // So many bars have more fuel than can be burned by then.
        raise: |world| {
            upload(&world.main, "late", at_trigger("(loop $again (br $again))", ""));
            let mut bars = vec![trigger()];
            bars.resize(20_000, json!(0));
            let answer = world.main.post("/v1/rules/late/evaluate", &json!({"columns": {"x": bars}}));
            assert_eq!(answer.status, 422, "{}", answer.body);
            Some(answer)
        },
        ..RUN
    },
    Entry {
        kind: "memory_limit",
        raise: |world| Some(run(world, "greedy", at_trigger("(drop (memory.grow (i32.const 16384)))", ""))),
        ..RUN
    },
    Entry {
        kind: "stack_overflow",
        raise: |world| Some(run(world, "deep", at_trigger("(drop (call $deeper (i32.const 1)))", ""))),
        ..RUN
    },
    Entry {
        kind: "trap",
        trap: Some("unreachable"),
        raise: |world| Some(run(world, "broken", at_trigger("(unreachable)", ""))),
        ..RUN
    },
    Entry {
        kind: "abi_breach",
        severity: "high",
        raise: |world| Some(run(world, "liar", at_trigger("(i32.store8 (i32.const 40960) (i32.const 200))", ""))),
        ..RUN
    },
    Entry {
        kind: "output_limit",
        severity: "low",
        detail: &["most_bytes", "texts_cut"],
        raise: |world| {
            let breach = "(i32.store8 (i32.const 40960) (i32.const 2)) (i32.store (i32.const 45056) (i32.const 1))";
            let message =
                r#"(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x0001117000001388))"#;
            upload(&world.main, "talker", at_trigger(breach, message));
            let answer = world.main.evaluate("talker", &json!({ "x": trigger() }));
            // Its results stand, and its text is cut.
            let text = answer.body["reasons"][0].as_str().unwrap();
            assert!(answer.status == 200 && text.starts_with("canary_of_a_module") && text.ends_with('…'), "{text}");
            Some(answer)
        },
        ..RUN
    },
    Entry {
        kind: "import_forbidden",
        raise: |world| Some(refused(world, "importer", with(r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#))),
        ..UPLOAD
    },
    Entry {
        kind: "module_invalid",
        raise: |world| {
            Some(refused(world, "starter", with_memory(r#"(memory (export "memory") 2) (start $s) (func $s)"#)))
        },
        ..UPLOAD
    },
    Entry {
        kind: "module_too_large",
        raise: |world| Some(refused(world, "giant", with_memory(r#"(memory (export "memory") 65536)"#))),
        ..UPLOAD
    },
    Entry {
        kind: "module_too_complex",
        raise: |world| {
            let nested = format!("(func {} {})", "block ".repeat(10_000), "end ".repeat(10_000));
            Some(refused(world, "maze", with_memory(&format!("(memory (export \"memory\") 2) {nested}"))))
        },
        ..UPLOAD
    },
    Entry { kind: "compile_killed", raise: |world| Some(refused(world, "bomb", bomb())), ..UPLOAD },
    Entry {
        kind: "cost_limit",
        severity: "low",
        raise: |world| {
            let window = |n: u32| format!("(stdev(canary_of_an_input + {n}, 5000) ?? 0)");
            let sum = (0..12).map(window).collect::<Vec<_>>().join(" + ");
            let source = format!("rule costly(canary_of_an_input) = {sum} > 1");
            let answer = world.main.post("/v1/rules", &json!({"name": "costly", "source": source}));
            assert!(answer.status == 422 && answer.body["code"] == "cost_limit", "{}", answer.body);
            Some(answer)
        },
        ..UPLOAD
    },
    Entry {
        kind: "state_forged",
        detail: &["of"],
        raise: |world| {
            let answer = world.main.get(&format!("/v1/rules?cursor={}", "A".repeat(80)));
            assert_eq!(answer.status, 400, "{}", answer.body);
            Some(answer)
        },
        ..SERVICE
    },
    Entry {
        kind: "auth_abuse",
        severity: "medium",
        of: Of::Platform,
        caller: false,
        detail: &["address", "tries"],
        raise: |world| {
            let tries = (0..BAD_KEYS).map(|_| world.main.get_by("rbx_live_canary_of_a_bad_key", "/v1/rules"));
            tries.inspect(|answer| assert_eq!(answer.status, 401)).reduce(|_, last| last)
        },
        ..SERVICE
    },
    Entry {
        kind: "cost_over_bound",
        severity: "critical",
        when: When::Changed,
        detail: &["bars"],
        raise: |world| {
            let answer = world.main.evaluate("bounded", &json!({ "equity": trigger() }));
            assert!(answer.status == 422 && answer.body["kind"] == "cost_over_bound", "{}", answer.body);
            Some(answer)
        },
        ..RUN
    },
    Entry {
        kind: "differential_mismatch",
        severity: "critical",
        when: When::Changed,
        run: false,
        behind: true,
        detail: &["bar", "field", "source"],
        raise: |world| {
            // By its text it is a breach.
            let answer = world.main.evaluate("doubted", &json!({ "equity": trigger() }));
            assert!(answer.status == 200 && answer.body["verdict"] == "ok", "{}", answer.body);
            Some(answer)
        },
        ..RUN
    },
    Entry {
        kind: "cache_tampered",
        of: Of::Platform,
        names: Names::Module,
        when: When::Changed,
        caller: false,
        detail: &["tier"],
        raise: |world| {
            let bars = json!({ "columns": { "equity": [trigger(), trigger()] } });
            let answer = world.main.post("/v1/rules/cached/evaluate", &bars);
            assert_eq!(answer.status, 200, "{}", answer.body);
            None
        },
        ..SERVICE
    },
    Entry {
        kind: "cross_tenant",
        detail: &["of"],
        raise: |world| {
            let (directory, path) = (world.main.directory.path(), format!("/v1/webhooks/{}", world.crossed));
            mix_webhooks(directory, CROSSED);
            let mut answer = world.main.get(&path);
            until("an answer with another tenant's row", || {
                if answer.status != 500 {
                    assert!(matches!(answer.status, 200 | 404), "{}", answer.body);
                    answer = world.main.get(&path);
                }
                answer.status == 500
            });
            unmix_webhooks(directory);
            Some(answer)
        },
        ..SERVICE
    },
    Entry {
        kind: "executor_died",
        severity: "high",
        when: When::Executors,
        run: false,
        caller: false,
        detail: &["executor"],
        raise: |world| {
            kill_an_executor(world);
            None
        },
        ..RUN
    },
];

/// The description of the webhook that becomes another tenant's.
pub const CROSSED: &str = "crossed";
/// So many from one address within a minute are a violation.
pub const BAD_KEYS: usize = 5;

/// The input at which modules do what they are for.
fn trigger() -> Value {
    json!(TRIGGER.parse::<f64>().unwrap())
}

fn upload(site: &Site, name: &str, module: Vec<u8>) {
    let made = site.post_module(name, module);
    assert_eq!(made.status, 201, "{name}: {}", made.body);
}

/// Uploads a module, which is accepted, and has it stopped.
pub fn run(world: &World, name: &str, module: Vec<u8>) -> Answer {
    upload(&world.main, name, module);
    let answer = world.main.evaluate(name, &json!({ "x": trigger() }));
    assert!(answer.status == 422 && answer.body["code"] == "sandbox_violation", "{name}: {}", answer.body);
    answer
}

/// Uploads a module, which is refused.
pub fn refused(world: &World, name: &str, module: Vec<u8>) -> Answer {
    let answer = world.main.post_module(name, module);
    assert_eq!(answer.status, 422, "{name}: {}", answer.body);
    answer
}

/// Kills an executor that has runs of a rule under way.
fn kill_an_executor(world: &World) {
    let (near, began) = (&world.near, Instant::now());
    let millis = || u64::try_from(began.elapsed().as_millis()).unwrap();
    let (over, asked) = (AtomicBool::new(false), [const { AtomicU64::new(u64::MAX) }; 2]);
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for asked in &asked {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    asked.store(millis(), Ordering::SeqCst);
                    let answer = near.evaluate("deadly", &json!({ "equity": trigger() }));
                    assert!(matches!(answer.status, 200 | 503), "{}", answer.body);
                }
            });
        }
        // One that hangs has runs under way soon; and then it dies with them.
        world.executors[0].signal("STOP");
        let hangs = |asked: &AtomicU64| {
            let since = asked.load(Ordering::SeqCst);
            Duration::from_millis(millis().saturating_sub(since)) > Duration::from_millis(400)
        };
        until("a run waits for the executor that hangs", || asked.iter().any(hangs));
        world.executors[0].signal("KILL");
        until("the death is recorded", || near.violations().iter().any(|row| row["kind"] == "executor_died"));
    });
}
