//! What is read of settings, and what is refused.

use super::*;

fn with(toml: &str) -> Result<Config, ConfigError> {
    Config::read(&Figment::from(Serialized::defaults(Defaults::default())).merge(Toml::string(toml)))
}

#[test]
fn without_settings_the_service_is_on_loopback_and_takes_a_million_rows() {
    let config = with("").unwrap();
    assert!(config.api.listen.ip().is_loopback() && config.health.listen.ip().is_loopback());
    assert_eq!((config.api.listen.port(), config.health.listen.port()), (8080, 9090));
    assert!(config.evaluation.rows >= 1_000_000 && config.api.body_bytes >= 60_000_000);
}

#[test]
fn a_file_changes_one_setting_and_leaves_the_others() {
    let config = with("[evaluation]\nfuel = 7").unwrap();
    assert_eq!(config.evaluation.fuel, 7);
    assert_eq!(config.evaluation.chunk_rows, 4_096);
}

#[test]
fn unknown_settings_and_values_out_of_bounds_are_refused_by_their_variable() {
    for (toml, said) in [
        (
            "[evaluation]\nfule = 7",
            "there is no setting RULEBOX_EVALUATION__FULE; there are RULEBOX_EVALUATION__THREADS",
        ),
        ("evaluatoin = 7", "there is no setting RULEBOX_EVALUATOIN; there are RULEBOX_ROLE"),
        ("[api]\nlisten = 'everywhere'", "RULEBOX_API__LISTEN"),
        ("evaluation = 7", "RULEBOX_EVALUATION is 7: it must be a section of settings"),
        ("[log]\nformat = 'xml'", "RULEBOX_LOG__FORMAT is \"xml\": it may be auto, json, pretty"),
        ("[store]\ndurability = 1", "RULEBOX_STORE__DURABILITY is 1: it must be one of its names"),
        ("[evaluation]\nfuel = 'much'", "RULEBOX_EVALUATION__FUEL is \"much\": it must be a whole number"),
        ("[evaluation]\nfuel = 1.5", "RULEBOX_EVALUATION__FUEL is 1.5: it must be a whole number"),
        ("[evaluation]\nfuel = -1", "RULEBOX_EVALUATION__FUEL is -1: it must be a whole number"),
        ("[evaluation]\nchunk_rows = 5000", "RULEBOX_EVALUATION__CHUNK_ROWS is 5000: it may be 1 to 4096"),
        ("[evaluation]\nthreads = 100000", "RULEBOX_EVALUATION__THREADS is 100000: it may be 1 to 256"),
        ("[evaluation]\nthreads = 9223372036854775807", "RULEBOX_EVALUATION__THREADS"),
        ("[evaluation]\nmemory_bytes = 0", "RULEBOX_EVALUATION__MEMORY_BYTES is 0: "),
        ("[evaluation]\nfuel = 0", "RULEBOX_EVALUATION__FUEL is 0: "),
        ("[evaluation]\ndeadline_ms = 1", "RULEBOX_EVALUATION__DEADLINE_MS is 1: "),
        ("[api]\nbody_seconds = 0", "RULEBOX_API__BODY_SECONDS is 0: "),
        ("[store]\nbusy_ms = 3000000000", "RULEBOX_STORE__BUSY_MS is 3000000000: it may be 1 to 60000"),
        ("[store]\nconnections = 4294967295", "RULEBOX_STORE__CONNECTIONS is 4294967295: "),
        ("[api]\nbodies_in_flight_bytes = 1048576", "RULEBOX_API__BODIES_IN_FLIGHT_BYTES is 1048576: "),
        (
            "[api]\nbody_bytes = 1500\nsmall_body_bytes = 1500\nbodies_in_flight_bytes = 1500",
            "RULEBOX_API__BODIES_IN_FLIGHT_BYTES is 1500: it must be at least 2048",
        ),
        ("data_dir = ''", "RULEBOX_DATA_DIR is empty: "),
        ("[api]\ntrusted_proxies = '10.0.0.0/33'", "RULEBOX_API__TRUSTED_PROXIES"),
        ("[quarantine]\nviolations = 0", "RULEBOX_QUARANTINE__VIOLATIONS is 0: "),
    ] {
        let error = with(toml).unwrap_err().to_string();
        assert!(error.starts_with(said), "{toml}\n{error}");
    }
}

#[test]
fn an_executor_is_named_once() {
    let of = |addresses| with(&format!("role = 'api'\n[executors]\naddresses = [{addresses}]")).unwrap().check_role();
    assert!(of("'unix:/a', 'unix:/b'").is_ok());
    let error = of("'unix:/a', 'unix:/b', 'unix:/a'").unwrap_err().to_string();
    assert!(error.starts_with("RULEBOX_EXECUTORS__ADDRESSES is unix:/a: it is there twice"), "{error}");
}

#[test]
fn networks_are_a_list_or_a_text_with_commas() {
    for toml in ["'10.0.0.0/8, ::1/128,'", "['10.0.0.0/8', '::1']"] {
        let networks = with(&format!("[api]\ntrusted_proxies = {toml}")).unwrap().api.trusted_proxies;
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "::1/128"], "{toml}");
    }
    assert!(with("").unwrap().api.trusted_proxies.is_empty(), "nobody is believed");
}

#[test]
fn secrets_are_not_shown() {
    let text = "master_secret = 'a very secret secret of 32 bytes'\n[redis]\nurl = 'redis://u:very secret@h'";
    let config = with(text).unwrap();
    assert!(config.redis.url.is_some() && !format!("{config:?}").contains("very secret"));
    let error = with("[redis]\nurl = 1234567890").unwrap_err().to_string();
    assert_eq!(error, "RULEBOX_REDIS__URL: it must be text, in quotes");
    let error = with("master_secret = 1234567890").unwrap_err().to_string();
    assert_eq!(error, "RULEBOX_MASTER_SECRET: it must be text, in quotes");
}

/// Settings without a default of their own: what the table of all settings says of each instead.
const OF_THE_MACHINE: [(&str, &str); 6] = [
    ("compile.threads", "half of the cores"),
    ("compile.workers", "half of the cores, 2 at least"),
    ("compile.tenant_workers", "half of the workers"),
    ("evaluation.threads", "the cores"),
    // The image says where its volume and its ports are.
    ("data_dir", "`rulebox-data`; in the image `/var/lib/rulebox`"),
    ("config", "-"),
];

/// A row of the table for each setting, without what it says of it: the variable, a * if it is a secret, the default.
fn rows() -> Vec<String> {
    let defaults = serde_json::to_value(Defaults::default()).unwrap();
    let mut settings: Vec<(String, serde_json::Value)> = Vec::new();
    for (name, value) in defaults.as_object().unwrap() {
        if let Some(section) = value.as_object() {
            settings.extend(section.iter().map(|(key, value)| (format!("{name}.{key}"), value.clone())));
        } else {
            settings.push((name.clone(), value.clone()));
        }
    }
    // Secrets are not serialised, and the file is no setting of a file.
    settings.extend(SECRETS.iter().chain(&["config"]).map(|path| ((*path).to_owned(), serde_json::Value::Null)));
    let row = |(path, value): (String, serde_json::Value)| {
        let default = match value {
            _ if path.ends_with(".listen") => {
                let address = value.as_str().unwrap().to_owned();
                format!("`{address}`; in the image `{}`", address.replace("127.0.0.1", "0.0.0.0"))
            }
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::Array(list) if list.is_empty() => "-".to_owned(),
            serde_json::Value::String(text) if text.is_empty() => "-".to_owned(),
            serde_json::Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let of_machine = OF_THE_MACHINE.iter().find(|(name, _)| *name == path);
        let default = of_machine.map_or(default, |(_, said)| (*said).to_owned());
        let secret = if SECRETS.contains(&path.as_str()) { " *" } else { "" };
        format!("| `{}`{secret} | {default} ", variable(&path))
    };
    let mut rows: Vec<_> = settings.into_iter().map(row).collect();
    rows.sort();
    rows
}

/// What is wrong with the units that a row states: the name of a setting ends in one.
fn wrong_unit(variable: &str, said: &str) -> bool {
    let units = [
        ("_BYTES", &["Bytes"][..]),
        ("_MS", &["Milliseconds", "milliseconds"]),
        ("_SECONDS", &["Seconds", "seconds"]),
        ("_MINUTES", &["Minutes"]),
        ("_HOURS", &["Hours"]),
        ("_DAYS", &["Days"]),
    ];
    let unit = units.iter().find(|(end, _)| variable.ends_with(end));
    unit.is_some_and(|(_, words)| !words.iter().any(|word| said.contains(word)))
}

/// What is wrong with a table of settings, and how many rows it has.
fn faults(table: &str) -> (Vec<String>, usize) {
    let (mut faults, mut listed) = (Vec::new(), Vec::new());
    for line in table.lines().filter(|line| line.starts_with("| `RULEBOX_")) {
        let cells: Vec<_> = line.splitn(4, '|').collect();
        let &["", variable, default, said] = cells.as_slice() else { panic!("{line}") };
        if said.len() < 10 || !said.ends_with(" |") || wrong_unit(variable.trim_matches([' ', '*', '`']), said) {
            faults.push(format!("says too little, or of another unit: {line}"));
        }
        listed.push(format!("|{variable}|{default}"));
    }
    let rows = rows();
    faults.extend(rows.iter().filter(|row| !listed.contains(row)).map(|row| format!("missing: {row}")));
    faults.extend(listed.iter().filter(|row| !rows.contains(row)).map(|row| format!("not so: {row}")));
    if faults.is_empty() && listed.len() != rows.len() {
        faults.push("a setting is there twice".to_owned());
    }
    (faults, listed.len())
}

#[test]
fn the_table_of_settings_has_each_with_its_default() {
    let table = include_str!("../../../deploy/image/settings.md");
    let (found, listed) = faults(table);
    assert_eq!(found, Vec::<String>::new());
    assert!(listed > 100);
    println!("settings: {listed} rows, each with its variable, default and unit");
    for (from, to) in [
        ("| `RULEBOX_API__BODY_SECONDS` | `60` |", "| `RULEBOX_API__BODY_SECONDS` | `61` |"),
        ("| `RULEBOX_API__BODY_SECONDS` | `60` | Seconds", "| `RULEBOX_API__BODY_SECONDS` | `60` | Minutes"),
        ("| `RULEBOX_LOG__FILTER` |", "| `RULEBOX_LOG__FILTERS` |"),
        ("| `RULEBOX_REDIS__URL` * |", "| `RULEBOX_REDIS__URL` |"),
    ] {
        assert!(table.contains(from) && !faults(&table.replacen(from, to, 1)).0.is_empty(), "{to} is not found");
    }
    let row = table.lines().find(|line| line.starts_with("| `RULEBOX_ROLE` |")).unwrap();
    assert_eq!(faults(&format!("{table}{row}\n")).0.len(), 1, "a row that is there twice is not found");
}
