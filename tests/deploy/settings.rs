//! Variables of the service that files of deployments name: each is a setting that there is. That the table of these is
//! right is tried where the settings are.

use std::collections::BTreeSet;
use std::fs;

use rulebox_tests::root;

use crate::{changed, files_under, read, short};

/// Names that stand for more than one setting, or are none: of the other end of a link between containers, which
/// Kubernetes would make, and of a test.
const OTHERS: [&str; 4] = ["RULEBOX_PORT", "RULEBOX_DATABASE_NAME", "RULEBOX_CODE_CACHE", "RULEBOX_COMPILE__WORKER"];

/// The variables that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    words
        .map(|word| word.trim_end_matches('_'))
        .filter(|word| word.starts_with("RULEBOX_"))
        .map(str::to_owned)
        .collect()
}

/// Of these, those that are no settings of the table, and no file of a secret of it.
fn unknown(named: &BTreeSet<String>, table: &str) -> Vec<String> {
    let known = |name: &str| table.contains(&format!("\n| `{name}` "));
    let of_a_secret =
        |name: &str| name.strip_suffix("_FILE").is_some_and(|name| table.contains(&format!("\n| `{name}` * |")));
    let unknown = named.iter().filter(|name| !known(name) && !of_a_secret(name) && !OTHERS.contains(&name.as_str()));
    unknown.cloned().collect()
}

#[test]
fn every_variable_that_is_named_is_a_setting() {
    let table = read("deploy/image/settings.md");
    let mut all = BTreeSet::new();
    let mut files = files_under(&root().join("deploy"));
    files.extend([root().join("README.md"), root().join(".github/workflows/release.yml")]);
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let names = named(&text);
        assert_eq!(unknown(&names, &table), Vec::<String>::new(), "{}", short(&file));
        all.extend(names);
    }
    assert!(all.len() > 100);
    println!("settings: {} variables named in deployments, each is there", all.len());
    let compose = read("deploy/compose/compose.yaml");
    for (from, to) in [
        ("RULEBOX_EXECUTORS__ADDRESSES", "RULEBOX_EXECUTOR__ADDRESSES"),
        ("RULEBOX_TENANT__MODULES:", "RULEBOX_TENANT__MODULES_FILE:"),
    ] {
        assert_eq!(unknown(&named(&changed(&compose, from, to)), &table).len(), 1, "{to} is not found");
    }
}
