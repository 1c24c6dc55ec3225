//! What one guest leaves behind, no other finds: not in its memory, its globals or its tables, however the pool resets
//! its slots and however the one before has ended.

use rulebox_abi::columns::{OutputRows, OutputSink};

use super::*;

/// Pages that both have in the end, of 64 KiB.
const PAGES: usize = 40;
const MEMORY: usize = PAGES << 16;

/// Fills all of its memory, its globals and its table, and then ends as it is told: 0 well, 1 by a trap, 2 never.
const WRITES: &str = r#"
(memory (export "memory") 2)
(table 64 funcref)
(elem (i32.const 0) $fill $fill $fill $fill $fill $fill $fill $fill)
(global $mark (mut i64) (i64.const 0))
(func $fill (local $at i32)
  (drop (memory.grow (i32.const 38)))
  (global.set $mark (i64.const 0x5ec2e75ec2e75ec2))
  ;; Not over the first page, where the host has written what it will ask for.
  (local.set $at (i32.const 65536))
  (loop $next
    (i64.store (local.get $at) (i64.const 0x5ec2e75ec2e75ec2))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
  (local.set $at (i32.const 46000))
  (loop $next
    (i64.store (local.get $at) (i64.const 0x5ec2e75ec2e75ec2))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 61432)))))
(func (export "rulebox_eval") (param $rows i32) (result i32) (local $how i32)
  (call $fill)
  (local.set $how (i32.trunc_f64_u (f64.load (i32.const 4096))))
  (if (i32.eq (local.get $how) (i32.const 1)) (then (unreachable)))
  (if (i32.eq (local.get $how) (i32.const 2)) (then (loop $again (br $again))))
  (i32.const 0))"#;

/// Counts the words of its memory that are not zero, but for those that it or the host has written, and adds a million
/// for a global that is not as it declares it. Then calls an element of its table that it has not set.
const READS: &str = r#"
(memory (export "memory") 2)
(table 64 funcref)
(type $nothing (func))
(data (i32.const 50000) "mine")
(global $mark (mut i64) (i64.const 0))
(func (export "rulebox_eval") (param $rows i32) (result i32) (local $at i32) (local $found i64)
  (drop (memory.grow (i32.const 38)))
  (loop $next
    (if (i64.ne (i64.load (local.get $at)) (i64.const 0))
      (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
  (if (i64.ne (global.get $mark) (i64.const 0))
    (then (local.set $found (i64.add (local.get $found) (i64.const 1000000)))))
  (f64.store (i32.const 61440) (f64.convert_i64_u (local.get $found)))
  (if (f64.eq (f64.load (i32.const 4096)) (f64.const 1))
    (then (call_indirect (type $nothing) (i32.const 3))))
  (i32.const 0))"#;

/// Of what the reader has in its memory by right: its data, its param, and the bar if that is not 0.
const OWN: f64 = 2.0;

/// The first number of the out column.
#[derive(Default)]
struct Out(f64);

impl OutputSink for Out {
    fn rows(&mut self, _first_row: usize, rows: &OutputRows<'_>) {
        self.0 = rows.out(0, 0);
    }
}

fn go(module: &Module, bar: f64) -> (Result<(), RunError>, f64) {
    let limits = Limits { memory_bytes: MEMORY, fuel: 100_000_000, ..Limits::default() };
    let mut out = Out::default();
    let ran = module.run(&frame::SHAPE, &[2.0], &frame::input(&[&[bar]]), &limits, &mut out);
    (ran.map(drop), out.0)
}

/// Every way in which the pool can be asked to reset its slots.
fn configurations() -> Vec<SandboxConfig> {
    let mut all = Vec::new();
    for pool_size in [1, 2] {
        for keep_resident_bytes in [0, 4 << 10, 512 << 10, MEMORY, 64 << 20] {
            for scan_pages in [true, false] {
                for warm_slots in [0, 1, u32::MAX] {
                    let rest = SandboxConfig::default();
                    all.push(SandboxConfig { pool_size, keep_resident_bytes, scan_pages, warm_slots, ..rest });
                }
            }
        }
    }
    all
}

#[test]
fn a_guest_finds_nothing_of_the_one_before_it() {
    let configurations = configurations();
    for config in &configurations {
        let sandbox = Sandbox::new(config.clone()).unwrap();
        let [writer, reader] = [WRITES, READS].map(|text| load(&sandbox, text).unwrap());
        // In a new slot too, so that the reader is known to count.
        assert!(matches!(go(&reader, 0.0), (Ok(()), OWN)), "{config:?}");
        // As many times as there are slots, and once more: one of them is the writer's.
        for how in [0.0, 1.0, 2.0] {
            for _ in 0..=config.pool_size {
                let (ended, _) = go(&writer, how);
                assert_eq!(ended.is_ok(), how == 0.0, "{config:?}: {ended:?}");
                for _ in 0..=config.pool_size {
                    let (read, found) = go(&reader, 0.0);
                    assert!(read.is_ok() && found == OWN, "{found} words after {how}: {read:?} {config:?}");
                }
                let called = go(&reader, 1.0).0.unwrap_err();
                let trap = called.violation().and_then(|violation| violation.trap);
                assert_eq!(trap, Some(rulebox_sandbox::TrapCode::IndirectCallToNull), "{config:?}: {called:?}");
            }
        }
    }
    println!("{} configurations of the pool, {MEMORY} bytes each time", configurations.len());
}

#[test]
fn the_reader_would_find_what_is_there() {
    let sandbox = sandbox();
    // What the writer leaves, in the same instance: the test above can fail.
    let own_growth = "(drop (memory.grow (i32.const 38)))";
    assert!(READS.contains(own_growth));
    let both = READS.replace(own_growth, "(call $fill)");
    let fill = WRITES
        .lines()
        .skip_while(|line| !line.starts_with("(func $fill"))
        .take_while(|line| !line.starts_with("(func (export"));
    let module = load(&sandbox, &format!("{both}\n{}", fill.collect::<Vec<_>>().join("\n"))).unwrap();
    let (ran, found) = go(&module, 0.0);
    assert!(ran.is_ok() && found > 1_000_000.0 + f64::from(1 << 16), "{found} {ran:?}");
}

#[test]
fn guests_side_by_side_find_nothing_of_each_other() {
    let config = SandboxConfig { pool_size: 3, ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config).unwrap();
    let [writer, reader] = [WRITES, READS].map(|text| load(&sandbox, text).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (writer, reader) = (&writer, &reader);
            scope.spawn(move || {
                let mut read = 0;
                while read < 50 {
                    if thread % 2 == 0 {
                        // All may be in use: then it is the others' turn.
                        let _ = go(writer, 0.0);
                        read += 1;
                        continue;
                    }
                    match go(reader, 0.0) {
                        (Ok(()), found) => assert!(found.to_bits() == OWN.to_bits(), "{found}"),
                        (Err(RunError::Busy), _) => continue,
                        (Err(error), _) => panic!("{error:?}"),
                    }
                    read += 1;
                }
            });
        }
    });
}
