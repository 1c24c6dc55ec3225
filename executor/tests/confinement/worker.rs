//! The processes that compile modules of tenants: what they have, what they are stopped for, and what is left of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulebox::confinement::Policy;
use rulebox::execution::engine::{Engine, InProcess, Unloaded};
use rulebox::execution::modules::LoadError;
use rulebox::execution::workers::{Workers, WorkersConfig};
use rulebox_abi::columns::{InputColumns, OutputColumns};
use rulebox_sandbox::selftest::frame;
use rulebox_sandbox::worker::{JobLimits, Setup};
use rulebox_sandbox::{Digest, Limits, Module, ModuleLimits, Refusal, Sandbox, SandboxConfig, ViolationKind};
use rustix::process::{Pid, Signal, kill_process};

/// A gate that lets all through: what a bomb is, the processes themselves must bear.
const WIDE: ModuleLimits = ModuleLimits {
    module_bytes: 16 << 20,
    types: 1_000_000,
    params: 1_000,
    imports: 4,
    functions: 1_000_000,
    globals: 1_000_000,
    exports: 100_000,
    tables: 1,
    table_elements: 1_000_000,
    data_segments: 1_000,
    initial_memory_bytes: 16 << 20,
    custom_sections: 32,
    body_bytes: 16 << 20,
    locals: 50_000,
    total_locals: 100_000_000,
    nesting: 100_000,
    branch_targets: 10_000_000,
    compile_work: u64::MAX,
};

/// Workers, and the sandbox that they compile for.
struct Fleet {
    workers: Workers,
    sandbox: Sandbox,
}

impl std::ops::Deref for Fleet {
    type Target = Workers;

    fn deref(&self) -> &Workers {
        &self.workers
    }
}

fn fleet(processes: usize, module: ModuleLimits, job: JobLimits) -> Fleet {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 4, ..SandboxConfig::default() }).unwrap();
    let setup = Setup { sandbox: sandbox.config().clone(), module, job };
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_rulebox")));
    let config = WorkersConfig { processes, program, confinement: Policy::Require, setup };
    Fleet { workers: Workers::new(config), sandbox }
}

fn load(fleet: &Fleet, bytes: &[u8]) -> Result<Module, LoadError> {
    fleet.workers.load(&fleet.sandbox, Digest::of(bytes), bytes)
}

fn refusal(loaded: Result<Module, LoadError>) -> Refusal {
    match loaded.map(drop) {
        Err(LoadError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn killed(loaded: Result<Module, LoadError>, words: &str) {
    let refusal = refusal(loaded);
    assert_eq!(refusal.kind, ViolationKind::CompileKilled, "{refusal}");
    assert!(refusal.detail.contains(words), "{refusal}");
}

fn well_behaved() -> Vec<u8> {
    frame::assemble("").unwrap()
}

/// Another module with the same rule.
fn like_it(number: usize) -> Vec<u8> {
    frame::assemble(&format!("(global i32 (i32.const {number}))")).unwrap()
}

fn functions(count: usize) -> Vec<u8> {
    frame::assemble(&"(func)".repeat(count)).unwrap()
}

/// A minute of work for the compiler, of which each second takes little memory. Another one for each number.
fn bomb(number: usize) -> Vec<u8> {
    functions(400_000 + number)
}

/// So much processor time, and more of everything else than that needs.
fn cpu_seconds(cpu_seconds: u64) -> JobLimits {
    JobLimits { cpu_seconds, address_space_bytes: 16 << 30, wall: Duration::from_mins(5), ..JobLimits::default() }
}

/// The results of three bars, as bits.
fn results(module: &Module) -> (Vec<u8>, Vec<Vec<u64>>, u64) {
    let bars = [10.0, 20.5, 1.0 / 3.0];
    let input = InputColumns { rows: bars.len(), inputs: &[&bars], time: None };
    let mut output = OutputColumns::default();
    let report = module.run(&frame::SHAPE, &[2.0], &input, &Limits::default(), &mut output).unwrap();
    (output.verdicts, output.outs, report.fuel)
}

/// What the kernel says of a process, or nothing if it is gone.
fn proc_file(process: u32, name: &str) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{process}/{name}")).ok()
}

fn children(process: u32) -> Vec<u32> {
    let list = proc_file(process, &format!("task/{process}/children")).unwrap_or_default();
    String::from_utf8(list).unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// Children of this process that somebody has yet to wait for.
fn zombies() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    let numbers: Vec<u32> =
        lists.flat_map(|list| list.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<_>>()).collect();
    let is_zombie = |number: &&u32| {
        let status = proc_file(**number, "stat").unwrap_or_default();
        String::from_utf8_lossy(&status).rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    };
    numbers.iter().filter(is_zombie).count()
}

fn descriptors() -> BTreeSet<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok()).collect()
}

/// Waits until something is so; it may take a while on a busy machine.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(process: u32) {
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn what_a_worker_compiles_gives_the_same_bits() {
    let workers = fleet(1, ModuleLimits::default(), JobLimits::default());
    let sandbox = workers.sandbox.clone();
    for bytes in [well_behaved(), like_it(7), functions(100)] {
        let there = load(&workers, &bytes).unwrap();
        let here = sandbox.load(&bytes, &ModuleLimits::default()).unwrap();
        assert_eq!(results(&there), results(&here));
        assert_eq!((there.digest(), there.has_state()), (here.digest(), here.has_state()));
    }
    assert_eq!(workers.alive(), 1);
}

#[test]
fn the_gate_is_in_the_worker_too() {
    let workers = fleet(1, ModuleLimits::default(), JobLimits::default());
    let sandbox = workers.sandbox.clone();
    let texts = ["(import \"env\" \"x\" (func))", "(func $f) (start $f)", &"(func)".repeat(3_000)];
    let modules = texts.map(|text| frame::assemble(text).unwrap());
    for bytes in modules.iter().map(Vec::as_slice).chain([b"no module".as_slice(), &[], &vec![0; 2 << 20]]) {
        let here = sandbox.load(bytes, &ModuleLimits::default()).unwrap_err();
        let there = refusal(load(&workers, bytes));
        assert_eq!(there.kind, here.kind, "{there} {here}");
    }
    assert_eq!(results(&load(&workers, &well_behaved()).unwrap()).0.len(), 3);
}

#[test]
fn a_module_that_takes_too_much_time_is_stopped() {
    let job = cpu_seconds(1);
    let workers = fleet(1, WIDE, job);
    let began = Instant::now();
    killed(load(&workers, &bomb(0)), "1 s of processor time");
    println!("stopped after {:?}", began.elapsed());
    load(&workers, &well_behaved()).unwrap();
}

#[test]
fn a_module_that_takes_too_much_memory_is_stopped() {
    let job = JobLimits {
        address_space_bytes: 128 << 20,
        cpu_seconds: 60,
        wall: Duration::from_mins(2),
        ..JobLimits::default()
    };
    let workers = fleet(1, WIDE, job);
    let began = Instant::now();
    killed(load(&workers, &functions(50_000)), "128 MiB of memory");
    println!("stopped after {:?}", began.elapsed());
    load(&workers, &well_behaved()).unwrap();
}

#[test]
fn a_module_that_takes_too_long_is_stopped_and_may_be_sent_again() {
    let job = JobLimits { wall: Duration::from_millis(300), ..JobLimits::default() };
    let workers = fleet(1, WIDE, job);
    let module = bomb(0);
    for _ in 0..2 {
        // The clock may have been at fault: it is tried again each time.
        let began = Instant::now();
        killed(load(&workers, &module), "try again");
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
    let small = JobLimits { artifact_bytes: 100, ..JobLimits::default() };
    let workers = fleet(1, WIDE, small);
    killed(load(&workers, &well_behaved()), "machine code");
}

#[test]
fn what_was_refused_is_not_compiled_again() {
    let job = cpu_seconds(1);
    let workers = fleet(1, WIDE, job);
    let module = bomb(0);
    let first = refusal(load(&workers, &module));
    // Nobody is there to compile it, and nobody is asked.
    let worker = workers.idle_processes()[0];
    kill(worker);
    until("the worker is gone", || (workers.alive() == 0).then_some(()));
    assert_eq!(refusal(load(&workers, &module)), first);
    assert_eq!(workers.alive(), 0);
    load(&workers, &well_behaved()).unwrap();
    assert_eq!(workers.alive(), 1);
}

#[test]
fn a_worker_has_nothing_of_the_environment_and_no_descriptors_but_its_pipes() {
    let kept_open = std::fs::File::open("/etc/hostname").unwrap();
    let workers = fleet(2, WIDE, JobLimits::default());
    workers.start().unwrap();
    for worker in workers.idle_processes() {
        assert_eq!(proc_file(worker, "environ").unwrap(), b"MIMALLOC_ARENA_RESERVE=0\0");
        let links = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
        let links: Vec<_> = links.map(|fd| std::fs::read_link(fd.unwrap().path()).unwrap()).collect();
        let pipes = links.iter().filter(|link| link.to_str().unwrap().starts_with("pipe:")).count();
        let nulls = links.iter().filter(|link| *link == &PathBuf::from("/dev/null")).count();
        assert_eq!((pipes, nulls, links.len()), (2, 1, 3), "{links:?}");
        let status = String::from_utf8(proc_file(worker, "status").unwrap()).unwrap();
        for line in ["Threads:\t1\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"] {
            assert!(status.contains(line), "{line} not in {status}");
        }
    }
    drop(kept_open);
}

#[test]
fn a_job_has_its_limits_and_no_pipe_but_its_own() {
    let workers = fleet(1, WIDE, cpu_seconds(4));
    workers.start().unwrap();
    let worker = workers.idle_processes()[0];
    let pipes_of = |process: u32| -> BTreeSet<PathBuf> {
        let fds = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
            .filter(|link| link.to_str().unwrap().starts_with("pipe:"))
            .collect()
    };
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load(&workers, &bomb(0)));
        let job = until("a job", || children(worker).first().copied());
        // Once it has three filters of its own beside the two of its worker, it is confined.
        let limits = until("the job confines itself", || {
            let status = String::from_utf8(proc_file(job, "status")?).ok()?;
            let confined = status.contains("Seccomp_filters:\t5\n");
            confined.then(|| String::from_utf8(proc_file(job, "limits").unwrap()).unwrap())
        });
        for (name, soft, hard) in [
            ("Max cpu time", "4", "5"),
            ("Max file size", "0", "0"),
            ("Max core file size", "0", "0"),
            ("Max open files", "16", "16"),
        ] {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            let values: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
            assert_eq!(values, [soft, hard], "{line}");
        }
        let space = limits.lines().find(|line| line.starts_with("Max address space")).unwrap();
        assert!(!space.contains("unlimited"), "{space}");
        // It cannot speak for its worker.
        assert_eq!(pipes_of(job).len(), 1);
        assert!(pipes_of(job).is_disjoint(&{
            let mut own = pipes_of(worker);
            own.retain(|pipe| !pipes_of(job).contains(pipe));
            own
        }));
        kill(worker);
        // Its job dies with it; the next worker's is killed for its time.
        until("the job is gone", || proc_file(job, "stat").is_none().then_some(()));
        killed(loaded.join().unwrap(), "4 s of processor time");
    });
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_leaves_nothing() {
    let workers = fleet(2, WIDE, cpu_seconds(2));
    load(&workers, &well_behaved()).unwrap();
    let open = descriptors().len();
    for number in 0..5 {
        // Between jobs.
        kill(workers.idle_processes()[0]);
        load(&workers, &like_it(number)).unwrap();
        // In the middle of one: it is tried once more, by another worker.
        let worker = workers.idle_processes()[0];
        std::thread::scope(|scope| {
            let workers = &workers;
            let loaded = scope.spawn(move || load(workers, &bomb(number)));
            until("a job", || children(worker).first().copied());
            kill(worker);
            killed(loaded.join().unwrap(), "2 s of processor time");
        });
        load(&workers, &like_it(100 + number)).unwrap();
    }
    assert_eq!(workers.alive(), 1);
    assert_eq!(zombies(), 0);
    assert_eq!(descriptors().len(), open);
    let process = workers.idle_processes()[0];
    drop(workers);
    assert!(proc_file(process, "stat").is_none());
}

#[test]
fn a_job_that_somebody_kills_costs_neither_the_worker_nor_the_module() {
    let workers = fleet(1, WIDE, cpu_seconds(3));
    workers.start().unwrap();
    let worker = workers.idle_processes()[0];
    for signal in [Signal::KILL, Signal::SEGV, Signal::ABORT] {
        std::thread::scope(|scope| {
            let loaded = scope.spawn(|| load(&workers, &bomb(0)));
            let job = until("a job", || children(worker).first().copied());
            let number = Pid::from_raw(i32::try_from(job).unwrap()).unwrap();
            // A program in Rust takes the first `SIGSEGV` that nothing of its own has caused for none.
            until("the job is gone", || {
                let _ = kill_process(number, signal);
                proc_file(job, "stat").is_none().then_some(())
            });
            killed(loaded.join().unwrap(), "and not by a limit: try again");
        });
        assert_eq!(workers.idle_processes(), [worker], "it goes on");
    }
    // It is not remembered of the module: this is its own doing.
    killed(load(&workers, &bomb(0)), "3 s of processor time");
    assert_eq!(workers.idle_processes(), [worker]);
    load(&workers, &well_behaved()).unwrap();
    assert_eq!(zombies(), 0);
}

#[test]
fn only_what_our_compiler_made_is_compiled_here() {
    let workers = fleet(1, ModuleLimits::default(), JobLimits::default());
    let sandbox = workers.sandbox.clone();
    let engine = InProcess::new(sandbox, ModuleLimits::default()).with_workers(workers.workers.clone());
    let bytes = well_behaved();
    let module = |compiled| Unloaded { digest: Digest::of(&bytes), bytes: &bytes, compiled };
    engine.load(module(true)).unwrap();
    assert_eq!(workers.alive(), 0);
    engine.load(module(false)).unwrap();
    assert_eq!(workers.alive(), 1);
}

#[test]
fn a_bomb_keeps_one_worker_busy_and_not_the_other() {
    let workers = fleet(2, WIDE, cpu_seconds(3));
    workers.start().unwrap();
    let times = |from: usize| {
        let mut times: Vec<_> = (from..from + 40)
            .map(|number| {
                let began = Instant::now();
                load(&workers, &like_it(number)).unwrap();
                began.elapsed()
            })
            .collect();
        times.sort();
        (times[20], times[39])
    };
    let quiet = times(0);
    let over = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                killed(load(&workers, &bomb(number)), "processor time");
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        until("the bomb", || {
            workers.idle_processes().is_empty().then_some(()).or((workers.idle_processes().len() == 1).then_some(()))
        });
        let busy = times(1_000);
        over.store(true, Ordering::Relaxed);
        busy
    });
    println!("another's upload, p50 and the slowest of 40: quiet {quiet:?}, beside bombs {busy:?}");
}

#[test]
fn what_it_costs() {
    let workers = fleet(1, ModuleLimits::default(), JobLimits::default());
    let sandbox = workers.sandbox.clone();
    workers.start().unwrap();
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    for (name, text) in [("a small module", String::new()), ("1,000 functions", "(func)".repeat(1_000))] {
        let modules: Vec<_> =
            (0..21).map(|n| frame::assemble(&format!("(global i32 (i32.const {n})){text}")).unwrap()).collect();
        let timed = |load: &dyn Fn(&[u8])| {
            let times = modules.iter().map(|module| {
                let began = Instant::now();
                load(module);
                began.elapsed()
            });
            median(times.collect())
        };
        let there = timed(&|module| drop(load(&workers, module).unwrap()));
        let here = timed(&|module| drop(sandbox.load(module, &ModuleLimits::default()).unwrap()));
        println!("{name}, {} bytes, median of 21: by a worker {there:?}, in process {here:?}", modules[0].len());
    }
}
