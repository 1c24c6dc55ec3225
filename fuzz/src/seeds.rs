//! The committed seeds of a target. The tests that replay them include this file.

use std::path::{Path, PathBuf};

/// Name and bytes of each. Panics if there are none: a target that replays nothing tests nothing.
pub fn of(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.ancestors().map(|folder| folder.join("fuzz/seeds").join(target)).find(|folder| folder.is_dir());
    assert!(folder.is_some(), "fuzz/seeds/{target} is not there");
    let folder = folder.unwrap_or_default();
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    seeds
}

/// Gives each seed of a target to its oracle, which panics on what is wrong; says which seed it was.
pub fn replay(target: &str, oracle: impl Fn(&[u8])) {
    for (path, bytes) in of(target) {
        println!("{}", path.display());
        oracle(&bytes);
    }
}
