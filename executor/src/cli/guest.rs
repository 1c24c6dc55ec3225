//! `rulebox guest`: modules that were not compiled from a rule's text.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use rulebox_dsl::manifest::{HoldInfo, Manifest, MessagePart, StatementInfo, StatementVerdict};
use rulebox_sandbox::{ModuleLimits, ViolationKind};
use serde_json::json;

use super::engine::OfService;
use super::explain;
use super::failure::{Failure, with_sources};
use super::source::{self, RuleFile};
use super::terminal::{Paint, stdout_colors};
use crate::execution::guest::trial::{self, Stopped, TrialError, Tried};
use crate::execution::guest::{Guest, GuestError, ManifestError};
use crate::execution::prepared::Prepared;

/// Check modules that were written in Rust, C or another language
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a service would take a module, and if not, why; if so, what it is
    Check {
        /// Modules, `-` for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The manifest of a module that does not carry it
        #[arg(long, value_name = "JSON")]
        manifest: Option<PathBuf>,
        /// How to report
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a file on standard output
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Command::Check { files, manifest, format } = &arguments.command;
    if manifest.is_some() && files.len() > 1 {
        return Err(Failure::Usage("--manifest goes with one module".to_owned()));
    }
    let service = OfService::defaults()?;
    let mut all_right = true;
    for path in files {
        let file = RuleFile::read(path)?;
        let beside = read_manifest(manifest.as_deref())?;
        let is_text = !file.is_module() && str::from_utf8(&file.bytes).is_ok_and(|text| !text.contains("(module"));
        let mut checked = check(file.bytes, beside.as_deref(), service)?;
        if let Err(refused) = &mut checked
            && is_text
        {
            let advice = format!("; if it is the text of a rule, `rulebox check {}` looks at it", file.name);
            refused.detail.push_str(&advice);
        }
        all_right &= checked.is_ok();
        match format {
            Format::Text => tell_text(&file.name, &checked)?,
            Format::Json => writeln!(stdout(), "{}", as_json(&file.name, &checked))?,
        }
    }
    if all_right { Ok(()) } else { Err(Failure::Told) }
}

/// A module that a service would take.
struct Taken {
    guest: Guest,
    tried: Tried,
    /// What a service gives.
    service: OfService,
}

impl Taken {
    /// What its author should look at all the same.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(Stopped { bar, violation }) = &self.tried.stopped {
            warnings.push(format!(
                "in its trial it was stopped on bar {bar}: {violation}; not checked: what it says from there on, and \
                 whether that is the same in one call, bar by bar, and from a saved state"
            ));
        }
        let (used, given) = (self.tried.bar_fuel, self.service.bar_fuel);
        if used > given {
            warnings.push(format!(
                "a bar of its trial took {used} units of fuel; a service gives {given} a bar by default, and stops what \
                 takes more"
            ));
        }
        warnings
    }
}

/// Why no service would take a module.
#[derive(Debug)]
pub(super) struct Refused {
    kind: ViolationKind,
    /// A field of the manifest.
    path: Option<String>,
    detail: String,
}

impl Refused {
    /// Says so on standard error.
    pub(super) fn tell(&self, file: &str) -> Failure {
        eprintln!("error: {file} is refused, {}: {}", self.kind, self.detail);
        Failure::Told
    }

    fn manifest(error: &ManifestError) -> Self {
        let path = Some(error.path.clone()).filter(|path| !path.is_empty());
        Self { kind: ViolationKind::ModuleInvalid, path, detail: error.to_string() }
    }
}

impl From<GuestError> for Refused {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Refused(refusal) => Self { kind: refusal.kind, path: None, detail: refusal.detail },
            GuestError::Manifest(error) => Self::manifest(&error),
        }
    }
}

/// A file with a manifest, if one is named.
pub(super) fn read_manifest(path: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(path) = path else { return Ok(None) };
    // One byte more than it may have tells that it is too long.
    let most = crate::execution::guest::manifest::MOST_BYTES as u64 + 1;
    let file = source::display_name(path);
    Ok(Some(source::read(path, most).map_err(|source| Failure::Read { file, source })?))
}

/// Does with a module what an upload does: the gate, the manifest, the compiler, the trial.
fn check(module: Vec<u8>, manifest: Option<&[u8]>, service: OfService) -> Result<Result<Taken, Refused>, Failure> {
    let mut guest = match Guest::read(module, manifest, &ModuleLimits::DEFAULT) {
        Ok(guest) => guest,
        Err(error) => return Ok(Err(error.into())),
    };
    let loaded = match super::engine::sandbox()?.load(&guest.module, &ModuleLimits::DEFAULT) {
        Ok(loaded) => loaded,
        Err(refusal) => return Ok(Err(GuestError::Refused(refusal).into())),
    };
    // The zone was found before.
    let Some(prepared) = Prepared::new(Arc::new(loaded), guest.manifest.clone()) else {
        return Err(Failure::Usage(format!("there is no time zone `{}`", guest.manifest.clock.zone)));
    };
    match trial::run(&prepared, &service.run) {
        Ok(tried) => {
            guest.manifest.state_bytes = tried.state_bytes.unwrap_or(guest.manifest.state_bytes);
            Ok(Ok(Taken { guest, tried, service }))
        }
        Err(TrialError::Manifest(error)) => Ok(Err(Refused::manifest(&error))),
        Err(TrialError::Run(error)) => Err(error.into()),
        Err(error) => {
            let kind = error.kind().unwrap_or(ViolationKind::ModuleInvalid);
            Ok(Err(Refused { kind, path: None, detail: with_sources(&error) }))
        }
    }
}

fn tell_text(name: &str, checked: &Result<Taken, Refused>) -> Result<(), Failure> {
    let taken = match checked {
        Ok(taken) => taken,
        Err(refused) => {
            refused.tell(name);
            return Ok(());
        }
    };
    for warning in taken.warnings() {
        eprintln!("warning: {name}: {warning}");
    }
    let Taken { guest, tried, service } = taken;
    let paint = Paint { colors: stdout_colors() };
    let mut out = stdout().lock();
    writeln!(out, "{name}: a service would take it")?;
    out.write_all(explain::describe(&guest.manifest, "", paint).as_bytes())?;
    let statements = statements(&guest.manifest);
    if !statements.is_empty() {
        writeln!(out, "\n{}", paint.bold("statements"))?;
        for line in statements {
            writeln!(out, "  {line}")?;
        }
    }
    writeln!(out, "\n{}", paint.bold("module"))?;
    writeln!(out, "  {:20} {} bytes", "size", guest.module.len())?;
    writeln!(out, "  {:20} {}", "digest", guest.digest)?;
    let fuel = format!("{} at most in its trial; a service gives {}", tried.bar_fuel, service.bar_fuel);
    writeln!(out, "  {:20} {fuel}", "fuel of a bar")?;
    writeln!(out, "  {:20} {}", "sessions", if guest.has_state { "yes" } else { "no: it has no `rulebox_state`" })?;
    let texts = if guest.has_messages { "its own, by `rulebox_message`" } else { "those of its statements" };
    Ok(writeln!(out, "  {:20} {texts}", "texts")?)
}

/// A line for each, as a rule would say it.
fn statements(manifest: &Manifest) -> Vec<String> {
    let line = |statement: &StatementInfo| {
        let verdict = match statement.verdict {
            StatementVerdict::Warn => "warn",
            StatementVerdict::Breach => "breach",
        };
        let action = statement.action.map(|action| format!(" {}", action.name())).unwrap_or_default();
        let hold = match statement.hold {
            None => String::new(),
            Some(HoldInfo::Bars(bars)) => format!(" for {bars} bars"),
            Some(HoldInfo::Millis(millis)) => format!(" for {}", time(millis)),
            Some(HoldInfo::Day) => " for day".to_owned(),
            Some(HoldInfo::Forever) => " forever".to_owned(),
        };
        let pieces = statement.message.iter().map(|part| match part {
            MessagePart::Text(text) => text.clone(),
            MessagePart::Value { name, .. } => format!("{{{name}}}"),
        });
        format!("{verdict}{action}{hold} \"{}\"", pieces.collect::<String>())
    };
    manifest.statements.iter().map(line).collect()
}

/// A time as the rule language writes it, if it can.
fn time(millis: i64) -> String {
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m")] {
        if millis % unit == 0 {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis} ms")
}

fn as_json(name: &str, checked: &Result<Taken, Refused>) -> serde_json::Value {
    match checked {
        Ok(taken @ Taken { guest, tried, service }) => json!({
            "file": name,
            "taken": true,
            "digest": guest.digest.to_string(),
            "module_bytes": guest.module.len(),
            "sessions": guest.has_state,
            "own_texts": guest.has_messages,
            "bar_fuel": tried.bar_fuel,
            "bar_fuel_limit": service.bar_fuel,
            "warnings": taken.warnings(),
            "manifest": guest.manifest,
        }),
        Err(Refused { kind, path, detail }) => {
            json!({"file": name, "taken": false, "kind": kind.name(), "path": path, "detail": detail})
        }
    }
}
