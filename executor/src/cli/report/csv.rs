//! `bar,time,verdict,action,reasons`, one line a bar.

use std::io::{self, Write};

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::Action;

use super::Results;

/// Writes every bar. A bar that is `ok` allocates nothing.
pub(in crate::cli) fn write(results: &Results<'_>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"bar,time,verdict,action,reasons\n")?;
    for bar in 0..results.bars() {
        write!(out, "{bar},")?;
        field(out, results.times.get(bar))?;
        let verdict = results.verdict(bar);
        if verdict == Verdict::Ok {
            out.write_all(b",ok,,\n")?;
            continue;
        }
        let outcome = results.outcome(bar);
        write!(out, ",{},{},", verdict.name(), outcome.action.map(Action::name).unwrap_or_default())?;
        match results.fault(&outcome) {
            Some(fault) => field(out, &fault.message)?,
            None => field(out, &outcome.reasons.join("; "))?,
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A cell, in quotes if it has to be (RFC 4180).
fn field(out: &mut impl Write, text: &str) -> io::Result<()> {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        return out.write_all(text.as_bytes());
    }
    write!(out, "\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_only_if_they_must_be() {
        let quoted = |text| {
            let mut out = Vec::new();
            field(&mut out, text).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted(""), "");
        assert_eq!(quoted("a; b 8.00%"), "a; b 8.00%");
        assert_eq!(quoted("a, b"), "\"a, b\"");
        assert_eq!(quoted("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(quoted("a\nb"), "\"a\nb\"");
    }
}
