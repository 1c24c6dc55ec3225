//! What is kept of a run: the columns that whoever asked gets, and how many bars had each verdict.

use rulebox_abi::Verdict;
use rulebox_abi::columns::{OutputRows, OutputSink};

use crate::Error;

/// Verdicts and fired statements of every bar, in columns that are there before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One byte a bar.
    pub verdicts: Vec<u8>,
    /// One word a bar.
    pub fired: Vec<u32>,
    /// How many of each verdict.
    pub counts: [usize; Verdict::ALL.len()],
}

impl Answer {
    /// Room for so many bars.
    pub fn new(bars: usize) -> Self {
        Self { verdicts: vec![0; bars], fired: vec![0; bars], counts: [0; Verdict::ALL.len()] }
    }

    /// Begins again.
    pub fn clear(&mut self) {
        self.counts = [0; Verdict::ALL.len()];
    }

    /// Adds bars to the counts.
    pub fn count(&mut self, verdicts: &[u8]) {
        // As many as a byte can count, so that the compiler adds whole registers of bytes.
        for part in verdicts.chunks(usize::from(u8::MAX)) {
            for (count, verdict) in self.counts.iter_mut().zip(Verdict::ALL) {
                *count += usize::from(part.iter().map(|said| u8::from(*said == verdict as u8)).sum::<u8>());
            }
        }
    }

    /// Copies what a module says of bars out of its memory.
    pub fn take(&mut self, first: usize, verdicts: &[u8], fired: &[u8]) {
        let bars = first..first + verdicts.len();
        if let Some(to) = self.verdicts.get_mut(bars.clone()) {
            to.copy_from_slice(verdicts);
        }
        if let Some(to) = self.fired.get_mut(bars) {
            for (to, from) in to.iter_mut().zip(fired.as_chunks().0) {
                *to = u32::from_le_bytes(*from);
            }
        }
        self.count(verdicts);
    }

    /// Whether somebody else says the same of every bar.
    pub fn must_equal(&self, verdicts: &[u8], who: &str) -> Result<(), Error> {
        if self.verdicts.len() != verdicts.len() {
            return Err(format!("{who} says something of {} bars, not {}", verdicts.len(), self.verdicts.len()).into());
        }
        self.must_begin_with(verdicts, who)
    }

    /// Whether somebody else says the same of the first bars.
    pub fn must_begin_with(&self, verdicts: &[u8], who: &str) -> Result<(), Error> {
        match self.verdicts.iter().zip(verdicts).position(|(mine, theirs)| mine != theirs) {
            Some(bar) => Err(format!("{who} says something else of bar {bar}").into()),
            None => Ok(()),
        }
    }
}

impl OutputSink for Answer {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.take(first_row, rows.verdicts, rows.fired);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_verdict_is_found() {
        let mut answer = Answer::new(3);
        answer.count(&[0, 2, 2]);
        assert_eq!(answer.counts, [1, 0, 2, 0]);
        answer.must_equal(&[0, 0, 0], "nobody").unwrap();
        assert_eq!(
            answer.must_equal(&[0, 0, 1], "somebody").unwrap_err().to_string(),
            "somebody says something else of bar 2"
        );
        assert!(answer.must_equal(&[0], "somebody").is_err());
    }
}
