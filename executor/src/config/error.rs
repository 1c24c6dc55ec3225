//! What is wrong with a setting, by the name of its variable.

use figment::error::Kind;

/// The settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is unknown, or its value cannot be read.
    #[error("{}", told(.0))]
    Unreadable(#[from] Box<figment::Error>),
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
}

/// The variable of a setting: `RULEBOX_EVALUATION__THREADS` of `evaluation.threads`.
pub(super) fn variable(path: &str) -> String {
    format!("RULEBOX_{}", path.replace('.', "__").to_uppercase())
}

fn told(error: &figment::Error) -> String {
    let each = error.clone().into_iter().map(|error| {
        // Keys keep the case that they were written in.
        let path = error.path.join(".").to_lowercase();
        let file = error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref()?.file_path());
        let place = file.map(|file| format!(" (in {})", file.display())).unwrap_or_default();
        match &error.kind {
            Kind::UnknownField(name, known) => {
                let section = path.strip_suffix(name.as_str()).unwrap_or(&path).trim_end_matches('.');
                let dot = if section.is_empty() { "" } else { "." };
                let unknown = variable(&format!("{section}{dot}{name}"));
                let known = known.iter().map(|known| variable(&format!("{section}{dot}{known}")));
                format!("there is no setting {unknown}{place}; there are {}", known.collect::<Vec<_>>().join(", "))
            }
            kind if path.is_empty() => format!("settings: {kind}{place}"),
            kind => format!("{}{place}: {kind}", variable(&path)),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}
