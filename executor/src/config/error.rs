//! What is wrong with a setting, by the name of its variable.

use std::path::PathBuf;

use figment::error::{Actual, Kind};

/// The settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is unknown, or its value cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A value is outside its bounds.
    #[error("{variable} is {value}: {reason}")]
    Invalid {
        /// Name of the variable.
        variable: String,
        /// What it is.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// The file of a secret cannot be read.
    #[error("{variable}: cannot read {}: {source}", path.display())]
    SecretFile {
        /// Name of the variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Settings whose value is never shown, whatever it is. Each may also be in a file, which a variable names.
pub(super) const SECRETS: [&str; 7] = [
    "master_secret",
    "previous_master_secret",
    "database.url",
    "database.platform_url",
    "database.migrate_url",
    "redis.url",
    "telemetry.otlp_headers",
];

/// The variable of a setting: `RULEBOX_EVALUATION__THREADS` of `evaluation.threads`.
pub(super) fn variable(path: &str) -> String {
    format!("RULEBOX_{}", path.replace('.', "__").to_uppercase())
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Unreadable(error.into_iter().map(|error| told(&error)).collect::<Vec<_>>().join("; "))
    }
}

fn told(error: &figment::Error) -> String {
    // Keys keep the case that they were written in.
    let path = error.path.join(".").to_lowercase();
    let file = error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref()?.file_path());
    let place = file.map(|file| format!(" (in {})", file.display())).unwrap_or_default();
    let name = variable(&path);
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let section = path.strip_suffix(name.as_str()).unwrap_or(&path).trim_end_matches('.');
            let dot = if section.is_empty() { "" } else { "." };
            let unknown = variable(&format!("{section}{dot}{name}"));
            let known = known.iter().map(|known| variable(&format!("{section}{dot}{known}")));
            format!("there is no setting {unknown}{place}; there are {}", known.collect::<Vec<_>>().join(", "))
        }
        Kind::UnknownVariant(found, known) => format!("{name} is {found:?}{place}: it may be {}", known.join(", ")),
        // Whatever it is, it was meant to be secret.
        Kind::InvalidType(..) if SECRETS.contains(&path.as_str()) => {
            format!("{name}{place}: it must be text, in quotes")
        }
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) if !path.is_empty() => {
            format!("{name} is {}{place}: it must be {}", shown(found), plain(wanted))
        }
        kind if path.is_empty() => format!("settings: {}{place}", kind.to_string().trim_end()),
        // So the library says of an address that it cannot read.
        kind if kind.to_string().contains("socket address") => {
            format!("{name}{place}: it must be {}, with a number and no name", plain("socket address"))
        }
        kind => format!("{name}{place}: {kind}"),
    }
}

/// A value as it was written.
fn shown(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        other => format!("a {other}"),
    }
}

/// What is wanted, in words of a settings file.
fn plain(wanted: &str) -> &str {
    match wanted {
        "usize" | "u64" | "u32" => "a whole number",
        "socket address" => "an address and a port, `127.0.0.1:8080`",
        _ if wanted.starts_with("enum ") => "one of its names",
        _ if wanted.starts_with("struct ") => "a section of settings",
        _ => wanted,
    }
}
