//! Bodies of requests, rows of streams, params of queries, and manifests of modules: JSON that nobody trusts.

use serde::de::IgnoredAny;

use super::{LIMITS, MANIFEST, is_answer, is_shown};
use crate::api::bars_json::rows::{RowReader, read_params};
use crate::api::bars_json::{Form, read};
use crate::domain::bars::Bars;
use crate::execution::guest::manifest;

/// The first byte says what the others are.
pub fn http_json(bytes: &[u8]) {
    let Some((what, text)) = bytes.split_first() else { return };
    match what % 7 {
        0 => request(text, Form::OneRule),
        1 => request(text, Form::SeveralRules),
        2 => request(text, Form::NewSession),
        3 => request(text, Form::SessionBars),
        4 => rows(text),
        5 => params(text),
        _ => module_manifest(text),
    }
}

/// What is taken is JSON, and no more than the limits.
fn request(text: &[u8], form: Form) {
    match read(text, form, &LIMITS) {
        Err(problem) => is_answer(&problem, Some(text)),
        Ok(request) => {
            assert!(serde_json::from_slice::<IgnoredAny>(text).is_ok(), "no JSON was taken");
            within(&request.bars);
        }
    }
}

/// Columns of one length, within the limits, each name once.
fn within(bars: &Bars) {
    assert!(bars.rows <= LIMITS.rows);
    assert!(bars.columns.len() <= LIMITS.cells);
    assert!(bars.columns.iter().all(|column| column.values.len() == bars.rows), "{bars:?}");
    assert!(bars.time.as_ref().is_none_or(|time| time.len() == bars.rows || bars.single), "{bars:?}");
    let cells: usize = bars.columns.iter().map(|column| column.values.len()).sum();
    assert!(cells <= LIMITS.cells, "{cells} cells");
    // JSON has neither NaN nor infinity: what is not finite is what was missing.
    let is_value = |value: &f64| value.is_finite() || value.to_bits() == rulebox_abi::MISSING_BITS;
    assert!(bars.columns.iter().all(|column| column.values.iter().all(is_value)), "{bars:?}");
    let mut names: Vec<_> = bars.columns.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

/// A row is appended whole or not at all.
fn rows(text: &[u8]) {
    let reader = RowReader::new("fuzzed", &MANIFEST, &LIMITS);
    let mut bars = reader.bars();
    for line in text.split(|byte| *byte == b'\n') {
        let before = bars.rows;
        if let Err(problem) = reader.read(line, &mut bars) {
            is_answer(&problem, Some(line));
            assert_eq!(bars.rows, before);
        } else {
            assert!(serde_json::from_slice::<IgnoredAny>(line).is_ok(), "no JSON was taken");
            assert_eq!(bars.rows, before + 1);
        }
        assert!(bars.columns.iter().all(|column| column.values.len() == bars.rows), "{bars:?}");
        assert!(bars.time.as_ref().is_some_and(|time| time.len() == bars.rows), "{bars:?}");
    }
}

fn params(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match read_params(text, &LIMITS) {
        Err(problem) => is_answer(&problem, None),
        Ok(_) => assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "no JSON was taken"),
    }
}

/// What is taken is taken again as it is written, but for what the host adds, and no compiler of ours wrote it.
fn module_manifest(json: &[u8]) {
    const MEMORY: u64 = 65_536;
    match manifest::read(json, MEMORY) {
        Err(error) => is_shown(&error.to_string()),
        Ok(read) => {
            assert!(read.cost.is_none() && read.edition.is_none());
            assert!(read.inputs.len() + read.params.len() + read.outs.len() <= manifest::MOST_NAMES);
            let mut written = serde_json::to_value(&read).unwrap();
            let tzdata = written.as_object_mut().unwrap().remove("tzdata").is_some();
            assert_eq!(tzdata, read.uses_time);
            let written = serde_json::to_vec(&written).unwrap();
            if written.len() <= manifest::MOST_BYTES {
                assert_eq!(manifest::read(&written, MEMORY).as_ref(), Ok(&read));
            }
        }
    }
}
