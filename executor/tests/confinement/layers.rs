//! What each layer refuses alone, and all of them together.

use crate::child::{Outside, line};

const ALL: &str = "no_new_privs no_capabilities core landlock seccomp";

/// Holds the outcomes of tries against what they must be.
fn expect(profile: &str, layers: &str, expected: &[(&str, &str)]) {
    let outside = Outside::new();
    let got: Vec<_> = expected.iter().map(|(what, _)| (*what, outside.tried(profile, layers, what))).collect();
    let got: Vec<_> = got.iter().map(|(what, outcome)| (*what, outcome.as_str())).collect();
    assert_eq!(got, expected);
    assert_eq!(std::fs::read_to_string(outside.place.path().join("inside/file")).unwrap(), "may be read");
}

#[test]
fn without_any_layer_all_is_allowed() {
    // Or the others would not be seen to refuse anything.
    expect(
        "executor",
        "",
        &[
            ("read outside", "allowed"),
            ("read upwards", "allowed"),
            ("write outside", "allowed"),
            ("connect by TCP", "allowed"),
            ("send by UDP", "allowed"),
            ("connect by Unix socket", "allowed"),
            ("connect by abstract socket", "allowed"),
            ("bind TCP", "allowed"),
            ("make a pair of sockets", "allowed"),
            ("start a program", "allowed"),
            ("start a thread", "allowed"),
            ("fork", "allowed"),
            ("kill its parent", "allowed"),
            ("map writable code", "allowed"),
            ("change its limits", "allowed"),
            ("be without new rights", "it is not"),
            ("be without dumps", "it is not"),
        ],
    );
}

#[test]
fn landlock_alone_refuses_files_addresses_and_signals() {
    for profile in ["executor", "compile_worker"] {
        let inside = if profile == "executor" { "allowed" } else { "EACCES" };
        expect(
            profile,
            "landlock",
            &[
                ("read outside", "EACCES"),
                ("read upwards", "EACCES"),
                ("read its own environment", "EACCES"),
                ("list outside", "EACCES"),
                ("read inside", inside),
                ("list inside", inside),
                ("write outside", "EACCES"),
                ("write inside", "EACCES"),
                ("create inside", "EACCES"),
                ("remove inside", "EACCES"),
                ("rename inside", "EACCES"),
                ("trace its parent", "EPERM"),
                ("exec", "EACCES"),
            ],
        );
        let abi = landlock_abi();
        let newer: [(u32, &[_]); 2] = [
            (4, &[("connect by TCP", "EACCES"), ("bind TCP", "EACCES")]),
            (6, &[("connect by abstract socket", "EPERM"), ("kill its parent", "EPERM")]),
        ];
        for (since, expected) in newer {
            if abi >= since {
                expect(profile, "landlock", expected);
            } else {
                println!("not tried: this kernel has ABI {abi} of Landlock, and these are of {since}: {expected:?}");
            }
        }
    }
}

/// As a confined process says it.
fn landlock_abi() -> u32 {
    let outside = Outside::new();
    let (mut child, mut said) = outside.start("compile_worker", "landlock", "abort");
    let layers = line(&mut said, "layers ").unwrap();
    child.wait().unwrap();
    let (_, abi) = layers.split_once("(ABI ").unwrap();
    abi.split(')').next().unwrap().parse().unwrap()
}

#[test]
fn seccomp_alone_refuses_calls() {
    expect(
        "executor",
        "seccomp",
        &[
            // Which files, it cannot tell.
            ("read outside", "allowed"),
            ("write outside", "EPERM"),
            ("write inside", "EPERM"),
            ("create inside", "EPERM"),
            ("remove inside", "EPERM"),
            ("rename inside", "EPERM"),
            ("connect by TCP", "EPERM"),
            ("send by UDP", "EPERM"),
            ("connect by Unix socket", "EPERM"),
            ("connect by abstract socket", "EPERM"),
            ("bind TCP", "EPERM"),
            ("bind UDP", "EPERM"),
            ("make a pair of sockets", "EPERM"),
            ("exec", "EPERM"),
            ("start a program", "EPERM"),
            ("start a thread", "allowed"),
            ("step back", "allowed"),
            ("put its parent back", "EPERM"),
            ("kill its parent", "EPERM"),
            ("trace its parent", "EPERM"),
        ],
    );
}

#[test]
fn an_executor_keeps_its_certificates_and_its_threads() {
    expect(
        "executor",
        ALL,
        &[
            ("read inside", "allowed"),
            ("list inside", "allowed"),
            ("read outside", "EACCES"),
            ("read upwards", "EACCES"),
            ("read its own environment", "EACCES"),
            ("list outside", "EACCES"),
            ("write outside", "EPERM"),
            ("write inside", "EPERM"),
            ("create inside", "EPERM"),
            ("remove inside", "EPERM"),
            ("connect by TCP", "EPERM"),
            ("send by UDP", "EPERM"),
            ("connect by Unix socket", "EPERM"),
            ("connect by abstract socket", "EPERM"),
            ("bind TCP", "EPERM"),
            ("bind UDP", "EPERM"),
            ("make a pair of sockets", "EPERM"),
            ("send with an address", "EPERM"),
            ("send and connect", "EPERM"),
            ("pass descriptors", "EPERM"),
            ("start a thread", "allowed"),
            ("step back", "allowed"),
            ("put its parent back", "EPERM"),
            ("be of few threads", "allowed"),
            ("fork", "EPERM"),
            ("fork by clone3", "Function not implemented (os error 38)"),
            ("exec", "EPERM"),
            ("start a program", "EPERM"),
            ("kill its parent", "EPERM"),
            ("signal a thread of its parent", "EPERM"),
            ("trace its parent", "EPERM"),
            ("read its parent's memory", "EPERM"),
            ("open its parent", "EPERM"),
            ("mount", "EPERM"),
            ("unshare", "EPERM"),
            ("setns", "EPERM"),
            ("use keys", "EPERM"),
            ("load BPF", "EPERM"),
            ("use io_uring", "EPERM"),
            ("handle page faults", "EPERM"),
            ("count events", "EPERM"),
            ("load a module", "EPERM"),
            ("change its limits", "EPERM"),
            ("map writable code", "EPERM"),
            ("make machine code", "allowed"),
            ("abort", "signal 6"),
            ("be without new rights", "allowed"),
            ("be without dumps", "allowed"),
        ],
    );
}

#[test]
fn a_compile_worker_keeps_nothing_and_dies_of_what_no_compiler_does() {
    expect(
        "compile_worker",
        ALL,
        &[
            ("read inside", "EPERM"),
            ("read outside", "EPERM"),
            ("write inside", "EPERM"),
            ("remove inside", "EPERM"),
            ("map writable code", "EPERM"),
            ("make machine code", "EPERM"),
            ("change its limits", "EPERM"),
            ("open its parent", "EPERM"),
            ("abort", "signal 6"),
            ("be without new rights", "allowed"),
            ("be without dumps", "allowed"),
            ("connect by TCP", "signal 31"),
            ("send by UDP", "signal 31"),
            ("make a pair of sockets", "signal 31"),
            ("exec", "signal 31"),
            ("start a program", "signal 31"),
            ("start a thread", "signal 31"),
            ("fork", "signal 31"),
            ("fork by clone3", "Function not implemented (os error 38)"),
            ("kill its parent", "signal 31"),
            ("trace its parent", "signal 31"),
            ("read its parent's memory", "signal 31"),
            ("mount", "signal 31"),
            ("unshare", "signal 31"),
            ("load BPF", "signal 31"),
            ("use io_uring", "signal 31"),
        ],
    );
}
