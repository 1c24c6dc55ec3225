//! What was sealed is loaded, and nothing else.

use rulebox_abi::columns::OutputColumns;

use super::*;
use crate::limits::{Limits, SandboxConfig};
use crate::selftest::frame;

const LIMITS: ModuleLimits = ModuleLimits::DEFAULT;

fn sandbox_of(max_memory_bytes: usize) -> Sandbox {
    Sandbox::new(SandboxConfig { pool_size: 2, max_memory_bytes, ..SandboxConfig::default() }).unwrap()
}

fn sandbox() -> Sandbox {
    sandbox_of(SandboxConfig::default().max_memory_bytes)
}

fn sealer(sandbox: &Sandbox, key: u8) -> CodeSealer {
    CodeSealer::new(sandbox.clone(), &LIMITS, CodeKey::new(&[key; 32]))
}

/// A module, and its entry.
fn sealed(sandbox: &Sandbox, sealer: &CodeSealer) -> (Module, Vec<u8>) {
    let module = sandbox.load(&frame::assemble("").unwrap(), &LIMITS).unwrap();
    let entry = sealer.seal(&module).unwrap();
    (module, entry)
}

fn results(module: &Module) -> OutputColumns {
    let mut output = OutputColumns::default();
    let input = [1.0, 2.5, 60.0];
    module.run(&frame::SHAPE, &[2.0], &frame::input(&[&input]), &Limits::default(), &mut output).unwrap();
    output
}

fn is_tampered(loaded: &Result<Module, NotLoaded>) -> bool {
    matches!(loaded, Err(NotLoaded::Tampered))
}

fn is_unusable(loaded: &Result<Module, NotLoaded>) -> bool {
    matches!(loaded, Err(NotLoaded::Unusable))
}

#[test]
fn what_was_sealed_comes_back_in_another_engine_and_gives_the_same_results() {
    let (one, other) = (sandbox(), sandbox());
    let (module, entry) = sealed(&one, &sealer(&one, 1));
    let digest = module.digest();
    let there = sealer(&other, 1);
    assert_eq!(there.name(digest), sealer(&one, 1).name(digest));
    let loaded = there.load(digest, &entry).unwrap();
    assert_eq!((loaded.digest(), loaded.has_state()), (digest, true));
    assert_eq!(format!("{:?}", results(&loaded)), format!("{:?}", results(&module)));
    // Once more sealed, it is loaded again.
    let again = there.seal(&loaded).unwrap();
    assert_eq!(format!("{:?}", results(&there.load(digest, &again).unwrap())), format!("{:?}", results(&module)));
}

#[test]
fn a_change_of_any_byte_is_refused() {
    let sandbox = sandbox();
    let sealer = sealer(&sandbox, 1);
    let (module, entry) = sealed(&sandbox, &sealer);
    // All of the head, and enough of the code: each costs a MAC of all of it.
    let step = (entry.len() / 500).max(1);
    let places = (0..HEAD + 64).chain((HEAD + 64..entry.len()).step_by(step)).chain([entry.len() - 1]);
    for at in places {
        for bit in [1, 0x80] {
            let mut changed = entry.clone();
            changed[at] ^= bit;
            // With the low byte of the length changed it may be cut off, or have more than it says.
            let loaded = sealer.load(module.digest(), &changed);
            let head = at < MAGIC.len() + LENGTH;
            assert!(is_tampered(&loaded) || (head && is_unusable(&loaded)), "byte {at}: {loaded:?}");
        }
    }
    assert!(sealer.load(module.digest(), &entry).is_ok());
}

#[test]
fn what_is_cut_off_or_of_another_version_is_a_miss() {
    let sandbox = sandbox();
    let sealer = sealer(&sandbox, 1);
    let (module, entry) = sealed(&sandbox, &sealer);
    let load = |entry: &[u8]| sealer.load(module.digest(), entry);
    for length in [0, 1, 7, 8, 15, 16, HEAD - 1, HEAD, HEAD + 1, entry.len() / 2, entry.len() - 1] {
        assert!(is_unusable(&load(&entry[..length])), "{length}");
    }
    let mut older = entry.clone();
    older[..8].copy_from_slice(b"RBXCODE0");
    assert!(is_unusable(&load(&older)));
    let mut huge = entry.clone();
    huge[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(is_unusable(&load(&huge)));
    assert!(is_unusable(&load(&vec![0; entry.len()])), "what a loss of power may leave");
    assert!(is_tampered(&load(&[&entry[..], &[0]].concat())));
    // A head of ours that says there is no code.
    let mut empty = entry[..HEAD].to_vec();
    empty[8..16].copy_from_slice(&0_u64.to_le_bytes());
    assert!(is_tampered(&load(&empty)));
}

#[test]
fn an_entry_is_of_one_key_one_module_and_one_engine() {
    let sandbox = sandbox();
    let ours = sealer(&sandbox, 1);
    let (module, entry) = sealed(&sandbox, &ours);
    let digest = module.digest();
    let other_digest = Digest::of(b"another module");
    assert!(is_tampered(&ours.load(other_digest, &entry)));

    let stricter = ModuleLimits { functions: LIMITS.functions - 1, ..LIMITS };
    let others = [
        sealer(&sandbox, 2),
        CodeSealer::new(sandbox.clone(), &stricter, CodeKey::new(&[1; 32])),
        sealer(&sandbox_of(32 << 20), 1),
    ];
    for other in &others {
        assert!(is_tampered(&other.load(digest, &entry)));
        // It is not looked for under this name.
        assert_ne!(other.name(digest), ours.name(digest));
    }
    assert_ne!(ours.name(digest), ours.name(other_digest));
    assert!(ours.name(digest).bytes().all(|b| b.is_ascii_digit() || b == b'-' || (b'a'..=b'f').contains(&b)));
}

#[test]
fn the_key_is_not_shown() {
    let sandbox = sandbox();
    let shown = format!("{:?}", sealer(&sandbox, 0xAB));
    assert!(shown.contains("CodeKey(..)") && !shown.contains("171, 171"), "{shown}");
}
