//! Limits are diagnostics, reported once, and the work behind them is bounded.

use std::time::{Duration, Instant};

use super::around;
use crate::{Limits, check_source};

fn codes(source: &str, limits: &Limits) -> Vec<&'static str> {
    match check_source(source, limits) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.0.iter().map(|d| d.code.as_str()).collect(),
    }
}

#[test]
fn each_limit_is_one_diagnostic() {
    let limits = Limits::DEFAULT;
    let many = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<Vec<_>>().concat();
    for (body, code) in [
        (many(300, &|i| format!("let a{i} = x\n")), "E0405"),
        (many(300, &|i| format!("out a{i} = x\n")), "E0405"),
        (many(3000, &|_| "v := x\n".to_owned()), "E0406"),
        (many(65, &|_| "v := cum_max(x)\n".to_owned()), "E0407"),
        (many(33, &|_| "warn \"\"\n".to_owned()), "E0408"),
        (many(2, &|_| format!("warn \"{}\"\n", "{x}".repeat(65))), "E0409"),
        (many(14, &|_| "v := sum(x, 10000) ?? 0\n".to_owned()), "E0404"),
        (many(14, &|i| format!("let a{i} = x  v := a{i}[10000] ?? 0\n")), "E0404"),
        (format!("warn \"{}\"", "m".repeat(1001)), "E0320"),
    ] {
        assert_eq!(codes(&around(&body), &limits), [code], "{body:.60}");
    }
    let test = format!("rule r(x) = x > 1 {}", "test \"t\" { bar -> ok }".repeat(201));
    assert_eq!(codes(&test, &limits), ["E0406"]);
    let bars = format!("rule r(x) = x > 1 test \"t\" {{ {} }}", "bar->ok ".repeat(11));
    assert_eq!(codes(&bars, &Limits { test_bars: 10, ..limits }), ["E0406"]);
}

#[test]
fn just_inside_the_limits_is_right() {
    let limits = Limits::DEFAULT;
    let names = limits.names - 11;
    for body in [
        (0..names).map(|i| format!("let a{i} = x\n")).collect::<Vec<_>>().concat(),
        "warn \"\"\n".repeat(32),
        "v := cum_max(x)\n".repeat(64),
        "v := sum(x, 10000) ?? 0\n".repeat(13),
        format!("warn \"{}\"", "{x}".repeat(128)),
        format!("warn \"{}\"", "m".repeat(1000)),
    ] {
        assert_eq!(codes(&around(&body), &limits), [""; 0], "{body:.60}");
    }
}

#[test]
fn errors_past_the_limit_are_counted() {
    let source = around(&"z := 1\n".repeat(80));
    let diagnostics = check_source(&source, &Limits::DEFAULT).unwrap_err().0;
    assert_eq!(diagnostics.len(), 51);
    assert_eq!(diagnostics[50].code.as_str(), "E0412");
    assert_eq!(diagnostics[50].message, "30 more errors from here on");
}

#[test]
fn hostile_sources_are_checked_in_bounded_time() {
    let limits = Limits { source_bytes: 10_000_000, ..Limits::DEFAULT };
    let name = |i: usize| format!("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz{i:06}");
    let many = |text: &dyn Fn(usize) -> String| (0..20_000).map(text).collect::<String>();
    for source in [
        around(&many(&|i| format!("let {} = x\n", name(i)))),
        around(&many(&|i| format!("v := {}\n", name(i)))),
        around(&many(&|i| format!("{}(x)\n", name(i)))),
        around(&many(&|i| format!("out {} = z\n", name(i)))),
        around(&many(&|_| "let a = sum(x, 10000)\n".to_owned())),
        around(&many(&|_| "warn \"{z}{x}{{{q}\"\n".to_owned())),
        around(&many(&|_| "if b { let a = x } else { let a = z }\n".to_owned())),
        format!("rule r(x) = x > 1 test \"t\" {{ {} bar -> ok }}", many(&|i| format!("set {} = 1 ", name(i)))),
        format!("rule r(x) = x > 1 test \"t\" {{ bar {} -> ok }}", many(&|i| format!("{}=1 ", name(i)))),
        format!("rule r(x) = x > 1 test \"t\" {{ bar {} -> ok }}", many(&|_| "x=1 ".to_owned())),
        format!("rule r({}) = true", many(&|i| format!("{}, ", name(i)))),
        format!("rule r(x) = min({} x) > 1", many(&|_| "x, ".to_owned())),
        format!("rule r(x) = x > 1 {}", many(&|_| "test \"t\" { bar -> ok } ".to_owned())),
    ] {
        let start = Instant::now();
        assert!(!codes(&source, &limits).is_empty(), "{source:.80}");
        // Generous: an unoptimised build on a busy machine takes a tenth of it.
        assert!(start.elapsed() < Duration::from_mins(1), "{source:.80}: {:?}", start.elapsed());
    }
}
