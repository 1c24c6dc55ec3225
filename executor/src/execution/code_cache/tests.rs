//! What was kept is found, and what was changed is told of and compiled anew.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rulebox_sandbox::selftest::frame;
use rulebox_sandbox::{CodeKey, ModuleLimits, Sandbox, SandboxConfig};
use tempfile::TempDir;

use super::*;
use crate::domain::compiled_code::CodeStoreError;
use crate::execution::engine::{Engine, InProcess, Unloaded};
use crate::execution::modules::LoadError;

const LIMITS: ModuleLimits = ModuleLimits::DEFAULT;

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig { pool_size: 2, ..SandboxConfig::default() }).unwrap()
}

/// A cache over a directory, as one start of the service after the other has it.
struct Start {
    sandbox: Sandbox,
    cache: CodeCache,
    metrics: Metrics,
    raised: mpsc::Receiver<Alarm>,
}

impl Start {
    fn over(stores: Vec<Arc<dyn CodeStore>>, key: u8) -> Self {
        let (sandbox, metrics) = (sandbox(), Metrics::new().unwrap());
        let sealer = CodeSealer::new(sandbox.clone(), &LIMITS, CodeKey::new(&[key; 32]));
        let (alarms, raised) = alarms();
        let cache = CodeCache::new(sealer, stores, alarms, metrics.clone());
        Self { sandbox, cache, metrics, raised }
    }

    fn of(directory: &TempDir) -> Self {
        Self::over(vec![store(directory)], 1)
    }

    fn engine(&self) -> InProcess {
        InProcess::new(self.sandbox.clone(), LIMITS).with_code_cache(self.cache.clone())
    }

    fn count(&self, tier: &str, result: &str) -> u64 {
        self.metrics.module_cache.with_label_values(&[tier, result]).get()
    }

    fn disk(&self) -> [u64; 4] {
        ["hit", "miss", "tampered", "failed"].map(|result| self.count("disk", result))
    }
}

/// As [`Start::of`] has it.
fn sealer(start: &Start) -> CodeSealer {
    CodeSealer::new(start.sandbox.clone(), &LIMITS, CodeKey::new(&[1; 32]))
}

fn store(directory: &TempDir) -> Arc<dyn CodeStore> {
    Arc::new(Directory::open(&directory.path().join("code"), 64 << 20).unwrap())
}

fn module() -> Vec<u8> {
    frame::assemble("").unwrap()
}

fn load(engine: &InProcess) {
    let bytes = module();
    engine.load(Unloaded { digest: Digest::of(&bytes), bytes: &bytes, compiled: true }).unwrap();
}

/// The one file that is kept.
fn kept(directory: &TempDir) -> PathBuf {
    let mut files = fs::read_dir(directory.path().join("code")).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().unwrap();
    assert_eq!(files.next(), None);
    file
}

#[test]
fn kept_code_of_a_module_that_the_gate_refuses_now_is_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let start = Start::of(&directory);
    load(&start.engine());
    let tight = ModuleLimits { module_bytes: 10, ..LIMITS };
    let engine = InProcess::new(start.sandbox.clone(), tight).with_code_cache(start.cache.clone());
    let bytes = module();
    let refused = engine.load(Unloaded { digest: Digest::of(&bytes), bytes: &bytes, compiled: true }).err();
    assert!(matches!(refused, Some(LoadError::Refused(_))), "{refused:?}");
    assert_eq!(start.count("disk", "hit"), 0);
}

#[test]
fn what_one_start_compiled_the_next_one_finds() {
    let directory = tempfile::tempdir().unwrap();
    let first = Start::of(&directory);
    load(&first.engine());
    assert_eq!(first.disk(), [0, 1, 0, 0]);
    let second = Start::of(&directory);
    load(&second.engine());
    assert_eq!(second.disk(), [1, 0, 0, 0]);
    // Not with another key, and without an alarm.
    let other = Start::over(vec![store(&directory)], 2);
    assert!(other.cache.load(Digest::of(&module())).is_none());
    assert_eq!(other.disk(), [0, 1, 0, 0]);
}

#[test]
fn the_form_for_single_bars_is_found_too_and_by_its_own_name() {
    let directory = tempfile::tempdir().unwrap();
    let rule = include_str!("../../../../dsl/examples/check_custom_rule.rule");
    let bytes = rulebox_dsl::compile(rule, &rulebox_dsl::Limits::default()).unwrap().module;
    let unloaded = Unloaded { digest: Digest::of(&bytes), bytes: &bytes, compiled: true };
    let load = |start: &Start| start.engine().load_bar(unloaded).unwrap().unwrap();
    let first = Start::of(&directory);
    load(&first);
    assert_eq!(first.disk(), [0, 1, 0, 0]);
    // The entry of one form is none of the other's.
    first.engine().load(unloaded).unwrap();
    assert_eq!(first.disk(), [0, 2, 0, 0]);
    let mut second = Start::of(&directory);
    load(&second);
    second.engine().load(unloaded).unwrap();
    assert_eq!(second.disk(), [2, 0, 0, 0]);

    // Changed, it is compiled anew, and the alarm names the rule's module.
    let form = second.sandbox.bar_form(&bytes, &LIMITS).unwrap().unwrap().digest();
    let other = fs::read(directory.path().join("code").join(sealer(&second).name(unloaded.digest))).unwrap();
    fs::write(directory.path().join("code").join(sealer(&second).name(form)), other).unwrap();
    assert!(second.cache.load_bar(unloaded.digest, form).is_none());
    assert_eq!((second.raised.try_recv().unwrap().digest, second.disk()), (unloaded.digest, [2, 0, 1, 0]));
}

#[test]
fn changed_code_is_recorded_before_it_is_compiled_anew() {
    let directory = tempfile::tempdir().unwrap();
    load(&Start::of(&directory).engine());
    let file = kept(&directory);
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).unwrap();

    let start = Start::of(&directory);
    let engine = start.engine();
    let recorded = Arc::new(AtomicBool::new(false));
    let Start { mut raised, cache, metrics, .. } = start;
    let hearing = thread::spawn({
        let (recorded, file) = (Arc::clone(&recorded), file.clone());
        move || {
            let alarm = raised.blocking_recv().unwrap();
            assert!(!file.exists(), "it is deleted first");
            recorded.store(true, Ordering::SeqCst);
            (alarm.digest, alarm.tier)
        }
    });
    load(&engine);
    assert!(recorded.load(Ordering::SeqCst), "it did not wait");
    assert_eq!(hearing.join().unwrap(), (Digest::of(&module()), "disk"));
    let count = |result| metrics.module_cache.with_label_values(&["disk", result]).get();
    assert_eq!((count("tampered"), count("hit"), count("miss")), (1, 0, 0));
    // It was compiled, and is kept again.
    assert!(cache.load(Digest::of(&module())).is_some());
    assert_eq!(kept(&directory), file);
}

#[test]
fn nobody_waits_for_an_alarm_that_nobody_hears() {
    let directory = tempfile::tempdir().unwrap();
    load(&Start::of(&directory).engine());
    let file = kept(&directory);
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::write(&file, &bytes).unwrap();
    let Start { cache, raised, .. } = Start::of(&directory);
    drop(raised);
    assert!(cache.load(Digest::of(&module())).is_none());
    assert!(!file.exists());
}

#[test]
fn a_file_that_is_cut_off_is_a_miss_and_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    load(&Start::of(&directory).engine());
    let file = kept(&directory);
    let whole = fs::metadata(&file).unwrap().len();
    for length in [0, 20, whole / 2] {
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
        let start = Start::of(&directory);
        load(&start.engine());
        assert_eq!(start.disk(), [0, 1, 0, 0]);
        assert_eq!(fs::metadata(&file).unwrap().len(), whole);
    }
}

#[test]
fn what_the_farther_place_has_the_nearer_one_gets() {
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    load(&Start::of(&far).engine());
    let start = Start::over(vec![store(&near), store(&far)], 1);
    load(&start.engine());
    assert_eq!(start.disk(), [1, 1, 0, 0]);
    assert_eq!(fs::read(kept(&near)).unwrap(), fs::read(kept(&far)).unwrap());
}

/// A place that is away.
#[derive(Debug)]
struct Away;

impl CodeStore for Away {
    fn tier(&self) -> &'static str {
        "redis"
    }

    fn longest(&self) -> usize {
        usize::MAX
    }

    fn get(&self, _: &str) -> Result<Option<Vec<u8>>, CodeStoreError> {
        Err(std::io::Error::other("away").into())
    }

    fn put(&self, _: &str, _: &[u8]) -> Result<(), CodeStoreError> {
        Err(std::io::Error::other("away").into())
    }

    fn remove(&self, _: &str) -> Result<(), CodeStoreError> {
        Err(std::io::Error::other("away").into())
    }
}

#[test]
fn a_place_that_is_away_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let start = Start::over(vec![Arc::new(Away), store(&directory)], 1);
    load(&start.engine());
    load(&start.engine());
    assert_eq!((start.count("redis", "failed"), start.disk()), (2, [1, 1, 0, 0]));
}
