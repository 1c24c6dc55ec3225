//! The manifest of a module that our compiler did not make: JSON that nobody trusts.
//!
//! Everything behind this takes a manifest for what our compiler would have written: few names, all of the language's,
//! each once; numbers in order; columns without gaps; short texts that can be printed.

use std::collections::BTreeSet;

use rulebox_abi::{ABI_VERSION, MAX_STATEMENTS};
use rulebox_dsl::Limits;
use rulebox_dsl::calendar::{self, Calendar};
use rulebox_dsl::check::is_name;
use rulebox_dsl::manifest::{
    FaultInfo, HoldInfo, InputInfo, Manifest, MessagePart, ParamInfo, StatementInfo, ValueFormat, ValueType,
};

use super::json_shape;
use crate::domain::caller::is_hidden;

/// Bytes of a manifest.
pub const MOST_BYTES: usize = 256 << 10;
/// Inputs, params and outs together, as in a rule.
pub const MOST_NAMES: usize = Limits::DEFAULT.names;
/// Placeholders of all messages together, as in a rule.
pub const MOST_PLACEHOLDERS: usize = Limits::DEFAULT.placeholders;
/// Bytes of the text of a message, or of a fault's, as in a rule.
pub const MOST_TEXT: usize = Limits::DEFAULT.message_bytes;
/// Pieces of a message.
pub const MOST_PIECES: usize = 2 * MOST_PLACEHOLDERS + 1;
/// Places where a rule can fault.
pub const MOST_SPANS: usize = 2_000;
/// Decimals of a placeholder, as in a rule.
const MOST_DECIMALS: u8 = 12;
/// Bars before this one that a verdict can depend on.
const MOST_LOOKBACK: u64 = 1_000_000_000;
/// Characters of a name that is not one, in an error.
const SHOWN: usize = 64;

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { "the manifest: ".to_owned() } else { format!("the manifest's `{path}`: ") })]
pub struct ManifestError {
    /// The field: `inputs[0].range`; empty for the whole.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

pub(super) fn wrong(path: impl Into<String>, problem: impl Into<String>) -> ManifestError {
    ManifestError { path: path.into(), problem: problem.into() }
}

impl ManifestError {
    /// A module without one.
    pub(super) fn none() -> Self {
        wrong(
            "",
            "there is none: put its JSON into the module's custom section `rulebox.manifest`, or give it beside the \
             module (in an upload as the part `manifest` of a form, on the command line with --manifest)",
        )
    }

    /// More than one.
    pub(super) fn two(what: &str) -> Self {
        wrong("", format!("{what}; there must be one"))
    }

    /// One that the module contradicts.
    pub(super) fn contradicted(path: &str, problem: impl Into<String>) -> Self {
        wrong(path, problem)
    }
}

/// Text that may be anything, fit for a message.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Reads a manifest and checks all of it. `memory_bytes`: what the module has from the start, for a manifest that says
/// 0.
///
/// # Errors
/// The first thing that is wrong, and what to do about it.
pub fn read(json: &[u8], memory_bytes: u64) -> Result<Manifest, ManifestError> {
    if json.len() > MOST_BYTES {
        return Err(wrong("", format!("it has more than {MOST_BYTES} bytes, which is the most")));
    }
    let mut manifest = parse(json)?;
    check(&manifest)?;
    let memory_bytes = u32::try_from(memory_bytes).unwrap_or(u32::MAX);
    if manifest.memory_bytes != 0 && manifest.memory_bytes != memory_bytes {
        let said = manifest.memory_bytes;
        return Err(wrong("memory_bytes", format!("the module has {memory_bytes}, not {said}: write that, or 0")));
    }
    manifest.memory_bytes = memory_bytes;
    manifest.tzdata = manifest.uses_time.then(|| calendar::tzdata_version().to_owned());
    Ok(manifest)
}

fn parse(json: &[u8]) -> Result<Manifest, ManifestError> {
    let text = str::from_utf8(json)
        .map_err(|error| wrong("", format!("it is not UTF-8: byte {} begins no character", error.valid_up_to())))?;
    json_shape::check(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let manifest = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // A place that has no name is in what does.
        let path = error.path().to_string();
        let path = path.trim_end_matches(['?', '.']);
        wrong(shown(path), error.inner().to_string().chars().filter(|c| !is_hidden(*c)).take(500).collect::<String>())
    })?;
    json.end().map_err(|error| wrong("", error.to_string()))?;
    Ok(manifest)
}

fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    if manifest.abi != ABI_VERSION {
        return Err(wrong("abi", format!("it is {}, and this host has version {ABI_VERSION}", manifest.abi)));
    }
    if manifest.cost.is_some() {
        let why = "it is what the compiler of Rulebox proves of a rule: leave it out, or upload the text of the rule";
        return Err(wrong("cost", why));
    }
    if manifest.edition.is_some() {
        return Err(wrong("edition", "it is of rules that are compiled here: leave it out"));
    }
    if manifest.tzdata.is_some() {
        return Err(wrong("tzdata", "it is of the host that runs a rule: leave it out"));
    }
    names(manifest)?;
    for (i, input) in manifest.inputs.iter().enumerate() {
        check_input(&format!("inputs[{i}]"), input)?;
    }
    for (i, param) in manifest.params.iter().enumerate() {
        check_param(&format!("params[{i}]"), param)?;
    }
    for (i, out) in manifest.outs.iter().enumerate() {
        one_of(&format!("outs[{i}].type"), out.ty, &[ValueType::Num, ValueType::Bool])?;
    }
    statements(manifest)?;
    clock(manifest)?;
    most("spans", manifest.spans.len(), MOST_SPANS)?;
    for (i, span) in manifest.spans.iter().enumerate() {
        check_span(&format!("spans[{i}]"), span)?;
    }
    if manifest.lookback > MOST_LOOKBACK {
        return Err(wrong("lookback", format!("it is {}, and may be {MOST_LOOKBACK}", manifest.lookback)));
    }
    Ok(())
}

fn most(path: &str, count: usize, most: usize) -> Result<(), ManifestError> {
    if count <= most { Ok(()) } else { Err(wrong(path, format!("there are {count}, and may be {most}"))) }
}

/// Inputs and params are names of one scope, outs of another, as in a rule.
fn names(manifest: &Manifest) -> Result<(), ManifestError> {
    let Manifest { inputs, params, outs, .. } = manifest;
    most("inputs", inputs.len(), MOST_NAMES)?;
    most("params", params.len(), MOST_NAMES)?;
    most("outs", outs.len(), MOST_NAMES)?;
    most("", inputs.len() + params.len() + outs.len(), MOST_NAMES)
        .map_err(|error| wrong("", format!("of inputs, params and outs together {}", error.problem)))?;
    let inputs = inputs.iter().enumerate().map(|(i, input)| (format!("inputs[{i}].name"), &input.name));
    let params = params.iter().enumerate().map(|(i, param)| (format!("params[{i}].name"), &param.name));
    let outs = outs.iter().enumerate().map(|(i, out)| (format!("outs[{i}].name"), &out.name));
    distinct(inputs.chain(params))?;
    distinct(outs)?;
    check_name("name", &manifest.name)
}

fn distinct<'a>(names: impl Iterator<Item = (String, &'a String)>) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for (path, name) in names {
        check_name(&path, name)?;
        if !seen.insert(name) {
            return Err(wrong(path, format!("`{name}` is declared before: give each a name of its own")));
        }
    }
    Ok(())
}

fn check_name(path: &str, name: &str) -> Result<(), ManifestError> {
    if is_name(name, &Limits::DEFAULT) {
        return Ok(());
    }
    Err(wrong(
        path,
        format!(
            "`{}` cannot be a name: it is a small letter or `_`, then small letters, digits or `_`, at most {} in all, \
             and no word of the rule language",
            shown(name),
            Limits::DEFAULT.name_bytes
        ),
    ))
}

fn one_of(path: &str, ty: ValueType, allowed: &[ValueType]) -> Result<(), ManifestError> {
    if allowed.contains(&ty) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(|ty| format!("`{}`", type_name(*ty))).collect();
    Err(wrong(path, format!("`{}` cannot be here: write {}", type_name(ty), names.join(" or "))))
}

const fn type_name(ty: ValueType) -> &'static str {
    match ty {
        ValueType::Num => "num",
        ValueType::Bool => "bool",
        ValueType::Int => "int",
        ValueType::Clock => "clock",
    }
}

fn check_range(path: &str, range: Option<[f64; 2]>, ty: ValueType) -> Result<(), ManifestError> {
    let Some([low, high]) = range else { return Ok(()) };
    let path = format!("{path}.range");
    if ty == ValueType::Bool {
        return Err(wrong(path, "a bool has none: leave it out"));
    }
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(wrong(path, format!("{low} to {high} is no range: write two finite numbers, the lower first")));
    }
    Ok(())
}

fn check_input(path: &str, input: &InputInfo) -> Result<(), ManifestError> {
    one_of(&format!("{path}.type"), input.ty, &[ValueType::Num, ValueType::Bool])?;
    check_range(path, input.range, input.ty)
}

fn check_param(path: &str, param: &ParamInfo) -> Result<(), ManifestError> {
    one_of(&format!("{path}.type"), param.ty, &[ValueType::Num, ValueType::Bool, ValueType::Int])?;
    check_range(path, param.range, param.ty)?;
    let (path, default) = (format!("{path}.default"), param.default);
    let right = match param.ty {
        ValueType::Bool => matches!(default, 0.0 | 1.0),
        ValueType::Int => default.is_finite() && default.fract() == 0.0,
        ValueType::Num | ValueType::Clock => default.is_finite(),
    };
    if !right {
        let expected = if param.ty == ValueType::Bool { "0 or 1" } else { "finite, and whole for an int" };
        return Err(wrong(path, format!("{default} cannot be: it is {expected}")));
    }
    match param.range {
        Some([low, high]) if !(low..=high).contains(&default) => {
            Err(wrong(path, format!("{default} is outside the range, {low} to {high}")))
        }
        _ => Ok(()),
    }
}

fn statements(manifest: &Manifest) -> Result<(), ManifestError> {
    most("statements", manifest.statements.len(), MAX_STATEMENTS)?;
    let mut columns = BTreeSet::new();
    let mut placeholders = 0;
    for (i, statement) in manifest.statements.iter().enumerate() {
        let path = format!("statements[{i}]");
        hold(&path, statement.hold, manifest.uses_time)?;
        placeholders += message(&path, statement, &mut columns)?;
        most("statements", placeholders, MOST_PLACEHOLDERS)
            .map_err(|error| wrong(error.path, format!("of placeholders {}", error.problem)))?;
    }
    // Dense: the host asks for a buffer of each up to the last.
    match (0..).zip(&columns).find(|(expected, column)| expected != *column) {
        None => Ok(()),
        Some((missing, _)) => Err(wrong(
            "statements",
            format!("no message shows column {missing}: columns of message values are numbered from 0 without gaps"),
        )),
    }
}

fn hold(path: &str, hold: Option<HoldInfo>, uses_time: bool) -> Result<(), ManifestError> {
    let path = format!("{path}.hold");
    match hold {
        Some(HoldInfo::Bars(0)) => Err(wrong(path, "0 bars hold nothing: leave it out")),
        Some(HoldInfo::Millis(millis)) if millis <= 0 => Err(wrong(path, "a time is more than 0 milliseconds")),
        Some(HoldInfo::Millis(_) | HoldInfo::Day) if !uses_time => {
            Err(wrong(path, "it ends by the clock: then `uses_time` is true"))
        }
        _ => Ok(()),
    }
}

/// Checks a message, and gives the number of its placeholders.
fn message(path: &str, statement: &StatementInfo, columns: &mut BTreeSet<usize>) -> Result<usize, ManifestError> {
    let path = format!("{path}.message");
    most(&path, statement.message.len(), MOST_PIECES)?;
    let mut placeholders = 0;
    let mut bytes = 0;
    for (i, part) in statement.message.iter().enumerate() {
        let path = format!("{path}[{i}]");
        match part {
            MessagePart::Text(text) => {
                bytes += text.len();
                check_text(&path, text, bytes)?;
            }
            MessagePart::Value { column, name, ty, format } => {
                placeholders += 1;
                let column = usize::try_from(*column).unwrap_or(usize::MAX);
                if column >= MOST_PLACEHOLDERS {
                    let most = MOST_PLACEHOLDERS - 1;
                    return Err(wrong(format!("{path}.column"), format!("{column} is too high: it may be {most}")));
                }
                columns.insert(column);
                check_label(&format!("{path}.name"), name)?;
                one_of(&format!("{path}.type"), *ty, &[ValueType::Num, ValueType::Bool, ValueType::Clock])?;
                check_format(&format!("{path}.format"), *format, *ty)?;
            }
        }
    }
    Ok(placeholders)
}

fn check_format(path: &str, format: ValueFormat, ty: ValueType) -> Result<(), ManifestError> {
    match format {
        ValueFormat::Decimals(_) | ValueFormat::Percent(_) if ty != ValueType::Num => {
            Err(wrong(path, format!("a {} has no decimals: write `plain`, or leave it out", type_name(ty))))
        }
        ValueFormat::Decimals(decimals) | ValueFormat::Percent(decimals) if decimals > MOST_DECIMALS => {
            Err(wrong(path, format!("{decimals} decimals are too many: there may be {MOST_DECIMALS}")))
        }
        ValueFormat::Plain | ValueFormat::Decimals(_) | ValueFormat::Percent(_) => Ok(()),
    }
}

/// What a placeholder shows may have any name that the language could give it, `time` too.
fn check_label(path: &str, name: &str) -> Result<(), ManifestError> {
    if name.is_empty() || name.len() > Limits::DEFAULT.name_bytes || name.contains(is_hidden) {
        let most = Limits::DEFAULT.name_bytes;
        return Err(wrong(path, format!("`{}` is not 1 to {most} bytes of visible characters", shown(name))));
    }
    Ok(())
}

/// `bytes`: of this text and those before it in the same message.
fn check_text(path: &str, text: &str, bytes: usize) -> Result<(), ManifestError> {
    if bytes > MOST_TEXT {
        return Err(wrong(path, format!("the text has more than {MOST_TEXT} bytes")));
    }
    match text.chars().find(|c| is_hidden(*c)) {
        None => Ok(()),
        Some(c) => Err(wrong(path, format!("the text has U+{:04X}, which cannot be seen", u32::from(c)))),
    }
}

fn clock(manifest: &Manifest) -> Result<(), ManifestError> {
    let clock = &manifest.clock;
    if clock.day_start >= 1440 {
        return Err(wrong("clock.day_start", format!("{} is no minute of a day, 0 to 1439", clock.day_start)));
    }
    if Calendar::new(&clock.zone, clock.day_start).is_err() {
        let (zone, version) = (shown(&clock.zone), calendar::tzdata_version());
        return Err(wrong("clock.zone", format!("`{zone}` is not a time zone of the IANA database {version}")));
    }
    Ok(())
}

fn check_span(path: &str, span: &FaultInfo) -> Result<(), ManifestError> {
    if span.end < span.start {
        return Err(wrong(format!("{path}.end"), "it is before `start`; without a text write 0 for both"));
    }
    check_text(&format!("{path}.message"), &span.message, span.message.len())
}
