//! The prebuilt modules are the ones whose digests are committed, and have nothing that a host refuses.

use std::fmt::Write as _;

use rulebox_abi::{MANIFEST_SECTION, export};
use rulebox_dsl::manifest::Manifest;
use sha2::{Digest, Sha256};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator, WasmFeatures};

use super::three_rules::{InDsl, manifest_of, sdk};

/// What the ABI allows beyond the first version of WebAssembly.
const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT);

/// Digest and file name of each.
fn listed() -> Vec<(String, String)> {
    let sums = std::fs::read_to_string(sdk("fixtures/SHA256SUMS")).unwrap();
    let lines = sums.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(digest, name)| (digest.to_owned(), name.to_owned())).collect()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(sdk("fixtures").join(name)).unwrap()
}

#[test]
fn every_module_is_listed_with_its_digest() {
    let mut files: Vec<_> = std::fs::read_dir(sdk("fixtures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(listed().into_iter().map(|(_, name)| name).collect::<Vec<_>>(), files);
    assert_eq!(files.len(), 7);
    for (digest, name) in listed() {
        let actual = Sha256::digest(read(&name)).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        assert_eq!(actual, digest, "{name}");
    }
}

#[test]
fn every_module_is_valid_small_and_imports_nothing_but_abort() {
    for (_, name) in listed() {
        let module = read(&name);
        assert!(module.len() < 16 << 10, "{name} has {} bytes", module.len());
        Validator::new_with_features(FEATURES).validate_all(&module).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut exports, mut imports) = (Vec::new(), 0);
        for payload in Parser::new(0).parse_all(&module) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.unwrap();
                        assert_eq!((import.module, import.name), ("env", "abort"), "{name}");
                        assert!(matches!(import.ty, TypeRef::Func(_)), "{name}");
                        imports += 1;
                    }
                }
                Payload::StartSection { .. } => panic!("{name} has a start function"),
                Payload::MemorySection(section) => {
                    let pages = section.into_iter().next().unwrap().unwrap().initial;
                    assert!(pages < 17, "{name} has {pages} pages");
                }
                Payload::ExportSection(section) => exports.extend(section.into_iter().map(Result::unwrap)),
                _ => {}
            }
        }
        // AssemblyScript's assertions call it.
        assert_eq!(imports, usize::from(name.starts_with("as_")), "{name}");
        for function in [export::INIT, export::BUFFER, export::RESET, export::EVAL, export::STATE, export::MARKER] {
            let found = exports.iter().any(|export| export.name == function && export.kind == ExternalKind::Func);
            assert!(found, "{name} does not export {function}");
        }
    }
}

/// The manifest in a module.
fn carried(module: &[u8]) -> Option<Manifest> {
    let mut sections = Parser::new(0).parse_all(module).filter_map(|payload| match payload.unwrap() {
        Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => Some(section.data().to_vec()),
        _ => None,
    });
    let section = sections.next()?;
    assert!(sections.next().is_none(), "two manifests");
    Some(serde_json::from_slice(&section).unwrap())
}

#[test]
fn modules_carry_the_manifests_of_their_sources() {
    for (_, name) in listed() {
        let (toolchain, rule) = name.trim_end_matches(".wasm").split_once('_').unwrap();
        let manifest = match toolchain {
            "rust" => {
                let carried = carried(&read(&name)).unwrap();
                assert_eq!(carried, manifest_of(rule), "{name} is older than its source");
                carried
            }
            "c" => carried(&read(&name)).unwrap(),
            _ => {
                assert!(carried(&read(&name)).is_none());
                let beside = std::fs::read(sdk(&format!("examples/assemblyscript/{rule}.json"))).unwrap();
                serde_json::from_slice(&beside).unwrap()
            }
        };
        let dsl = InDsl::read(rule).manifest;
        assert_eq!((&manifest.inputs, &manifest.params, &manifest.outs), (&dsl.inputs, &dsl.params, &dsl.outs));
        assert_eq!(manifest.statements[0].message, dsl.statements[0].message);
    }
}
