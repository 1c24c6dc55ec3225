//! Against a real directory.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;

use super::*;

fn name(n: u8) -> String {
    format!("{n:064x}-{:032x}", 7)
}

fn open(directory: &TempDir, bytes: u64) -> Directory {
    Directory::open(&directory.path().join("code"), bytes).unwrap()
}

fn path(directory: &TempDir, n: u8) -> PathBuf {
    directory.path().join("code").join(name(n))
}

/// Has a file used last so many minutes ago.
fn used(directory: &TempDir, n: u8, minutes: u64) {
    let file = File::options().write(true).open(path(directory, n)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_mins(minutes)).unwrap();
}

#[test]
fn what_is_put_is_there_until_it_is_removed_and_is_nobody_elses_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let code = open(&directory, 1 << 20);
    assert_eq!(code.get(&name(1)).unwrap(), None);
    code.put(&name(1), b"one").unwrap();
    code.put(&name(1), b"another").unwrap();
    assert_eq!(code.get(&name(1)).unwrap().as_deref(), Some(&b"another"[..]));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory.path().join("code")), mode(&path(&directory, 1))), (0o700, 0o600));
    // A later start has it.
    assert!(open(&directory, 1 << 20).get(&name(1)).unwrap().is_some());
    code.remove(&name(1)).unwrap();
    code.remove(&name(1)).unwrap();
    assert_eq!(code.get(&name(1)).unwrap(), None);
}

#[test]
fn only_a_name_of_an_entry_is_a_path() {
    let directory = tempfile::tempdir().unwrap();
    let code = open(&directory, 1 << 20);
    let upper = name(0xAB).to_uppercase();
    for other in ["", "..", "../code", "a", &"a".repeat(NAME), &"../".repeat(40)[..NAME], &upper] {
        code.put(other, b"code").unwrap();
        assert_eq!(code.get(other).unwrap(), None, "{other}");
        code.remove(other).unwrap();
    }
    assert_eq!(read_dir(directory.path().join("code")).unwrap().count(), 0);
}

#[test]
fn links_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, b"not of the cache").unwrap();
    let code = open(&directory, 1 << 20);
    symlink(&secret, path(&directory, 1)).unwrap();
    assert_eq!(code.get(&name(1)).unwrap(), None);
    code.put(&name(1), b"code").unwrap();
    assert_eq!(code.get(&name(1)).unwrap().as_deref(), Some(&b"code"[..]));
    symlink(&secret, path(&directory, 2)).unwrap();
    code.remove(&name(2)).unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"not of the cache");
    // Nor to the directory itself.
    let link = directory.path().join("link");
    symlink(directory.path().join("code"), &link).unwrap();
    assert!(matches!(Directory::open(&link, 1 << 20), Err(DirectoryError::NotOne { .. })));
}

#[test]
fn a_directory_that_others_may_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("code");
    drop(open(&directory, 1 << 20));
    for mode in [0o710, 0o770, 0o701, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Directory::open(&path, 1 << 20).unwrap_err();
        assert!(matches!(error, DirectoryError::Open { .. }) && error.to_string().contains("chmod 700"), "{error}");
    }
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Directory::open(&file, 1 << 20).is_err());
}

#[test]
fn what_is_too_long_or_no_file_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let code = open(&directory, 1 << 30);
    // It takes no room on the disk.
    let file = File::create(path(&directory, 1)).unwrap();
    file.set_len(1 << 32).unwrap();
    assert_eq!(code.get(&name(1)).unwrap(), None);
    fs::create_dir(path(&directory, 2)).unwrap();
    assert_eq!(code.get(&name(2)).unwrap(), None);
    assert!(code.put(&name(2), b"code").is_err());
    // It counts, and goes.
    code.put(&name(3), b"code").unwrap();
    assert!(!path(&directory, 1).exists() && path(&directory, 3).exists());
}

#[test]
fn what_was_not_used_for_the_longest_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let code = open(&directory, 3_500);
    for n in 1..=3 {
        code.put(&name(n), &[n; 1_000]).unwrap();
        used(&directory, n, 60 - u64::from(n));
    }
    code.get(&name(1)).unwrap().unwrap();
    code.put(&name(4), &[4; 1_000]).unwrap();
    let there = |n| path(&directory, n).exists();
    assert_eq!([1, 2, 3, 4].map(there), [true, false, true, true]);
    // One that needs the room of two; the first was used just now.
    used(&directory, 4, 1);
    code.put(&name(5), &[5; 2_000]).unwrap();
    assert_eq!([1, 3, 4, 5].map(there), [true, false, false, true]);
    // A later start with less.
    used(&directory, 1, 1);
    drop(open(&directory, 2_000));
    assert_eq!([1, 5].map(there), [false, true]);
}

#[test]
fn files_of_others_stay_and_those_that_a_lost_process_left_go() {
    let directory = tempfile::tempdir().unwrap();
    let code = open(&directory, 1_000);
    let inside = |name: &str| directory.path().join("code").join(name);
    fs::write(inside("README"), [0_u8; 5_000]).unwrap();
    fs::write(inside(".part-new"), [0_u8; 100]).unwrap();
    fs::write(inside(".part-old"), [0_u8; 100]).unwrap();
    let old = File::options().write(true).open(inside(".part-old")).unwrap();
    old.set_modified(SystemTime::now() - 2 * LEFT).unwrap();
    code.put(&name(1), &[1; 900]).unwrap();
    assert!(inside("README").exists() && inside(".part-new").exists() && !inside(".part-old").exists());
    assert!(path(&directory, 1).exists());
}

#[test]
fn of_many_who_write_at_once_each_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let code = Arc::new(open(&directory, 4 << 20));
    let writers: Vec<_> = (0..4_u8)
        .map(|n| {
            // Another process has another of these.
            let code = if n % 2 == 0 { Arc::clone(&code) } else { Arc::new(open(&directory, 4 << 20)) };
            thread::spawn(move || {
                for _ in 0..20 {
                    code.put(&name(1), &vec![n; 100_000 + usize::from(n)]).unwrap();
                    let entry = code.get(&name(1)).unwrap().unwrap();
                    let by = entry[0];
                    assert_eq!(entry.len(), 100_000 + usize::from(by));
                    assert!(entry.iter().all(|byte| *byte == by));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(read_dir(directory.path().join("code")).unwrap().count(), 1);
}
