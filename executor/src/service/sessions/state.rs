//! What is kept of a session between two calls: the rules, their states, and the last answers.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rulebox_abi::TIME_MISSING;
use rulebox_sandbox::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::domain::bars::Bars;
use crate::domain::idempotency::IdempotentRequest;
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::session::SeqError;

/// A hash of a bar's inputs.
pub(super) type InputHash = [u8; 16];

/// All that is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Of the next bar.
    pub next_seq: u64,
    /// In the order of the session.
    pub rules: Vec<Pinned>,
    /// The request that began it, by its hash: nothing if that had no key to be sent again with.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text")]
    request: Vec<u8>,
    /// Of the last bars, the oldest first.
    recent: VecDeque<Answered>,
}

/// A version, and where its run is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pinned {
    rule: String,
    version: u32,
    #[serde(with = "text")]
    digest: [u8; 32],
    /// In the order of its manifest.
    pub params: Vec<f64>,
    /// Of its module, after the last bar.
    #[serde(with = "text")]
    pub state: Vec<u8>,
}

/// What was answered to a bar, as it was told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    #[serde(with = "text")]
    pub input: InputHash,
    pub answer: Box<RawValue>,
}

impl Pinned {
    pub fn new(runnable: &Runnable, params: Vec<f64>, state: Vec<u8>) -> Self {
        let (rule, version, digest) = (runnable.rule.as_str().to_owned(), runnable.version, runnable.digest.0);
        Self { rule, version, digest, params, state }
    }

    fn runnable(&self) -> Option<Runnable> {
        let rule = RuleName::new(&self.rule).ok()?;
        Some(Runnable { rule, version: self.version, digest: Digest(self.digest) })
    }
}

impl State {
    /// Before the first bar.
    pub fn new(rules: Vec<Pinned>, request: Option<IdempotentRequest>) -> Self {
        let request = request.map(|request| request.request.to_vec()).unwrap_or_default();
        Self { next_seq: 0, rules, request, recent: VecDeque::new() }
    }

    /// Before the first bar again.
    pub fn anew(self, rules: Vec<Pinned>) -> Self {
        Self { next_seq: 0, rules, request: self.request, recent: VecDeque::new() }
    }

    /// Whether it was begun by this request.
    pub fn is_of(&self, request: &IdempotentRequest) -> bool {
        self.request == request.request
    }

    /// Reads a state. Nothing if it is none, which its seal makes impossible.
    pub fn read(text: &[u8]) -> Option<Self> {
        let state: Self = serde_json::from_slice(text).ok()?;
        (state.next_seq >= state.recent.len() as u64 && state.runnables().is_some()).then_some(state)
    }

    /// As it is kept.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The versions.
    pub fn runnables(&self) -> Option<Vec<Runnable>> {
        self.rules.iter().map(Pinned::runnable).collect()
    }

    /// The first bar whose answer is kept.
    pub fn oldest_seq(&self) -> u64 {
        self.next_seq.saturating_sub(self.recent.len() as u64)
    }

    /// How many of these bars, from the first, have been answered.
    ///
    /// # Errors
    /// If they do not continue the session, or are not the bars that were answered.
    pub fn known(&self, seq: u64, inputs: &[InputHash]) -> Result<usize, SeqError> {
        let (expected, oldest) = (self.next_seq, self.oldest_seq());
        if seq > expected {
            return Err(SeqError::Gap { seq, expected });
        }
        if seq < oldest {
            return Err(SeqError::TooOld { seq, oldest, expected });
        }
        let answered = self.from(seq).zip(inputs);
        let (mut known, mut at) = (0, seq);
        for (before, now) in answered {
            if before.input != *now {
                return Err(SeqError::Conflict { seq: at, expected });
            }
            (known, at) = (known + 1, at + 1);
        }
        Ok(known)
    }

    /// What was answered to these bars.
    pub fn answers(&self, seq: u64, count: usize) -> Vec<Box<RawValue>> {
        self.from(seq).take(count).map(|answered| answered.answer.clone()).collect()
    }

    fn from(&self, seq: u64) -> impl Iterator<Item = &Answered> {
        let skip = usize::try_from(seq.saturating_sub(self.oldest_seq())).unwrap_or(usize::MAX);
        self.recent.iter().skip(skip)
    }

    /// The state after some more bars. Of the last answers `keep` are kept, as far as they have no more than `bytes`;
    /// but at least `whole`, the bars of this call, so that it can be answered again.
    pub fn after(
        &self,
        states: Vec<Vec<u8>>,
        answered: Vec<Answered>,
        whole: usize,
        keep: usize,
        bytes: usize,
    ) -> Self {
        let mut next = self.clone();
        next.next_seq += answered.len() as u64;
        for (pinned, state) in next.rules.iter_mut().zip(states) {
            pinned.state = state;
        }
        next.recent.extend(answered);
        let mut size: usize = next.recent.iter().map(|answered| answered.answer.get().len()).sum();
        while next.recent.len() > whole && (next.recent.len() > keep || size > bytes) {
            size -= next.recent.pop_front().map_or(0, |answered| answered.answer.get().len());
        }
        next
    }
}

/// A hash of each bar's inputs, whatever order they are in. A value that is missing is one that is not there.
pub(super) fn hash_inputs(bars: &Bars) -> Vec<InputHash> {
    let mut columns: Vec<_> = bars.columns.iter().collect();
    columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let hash = |row: usize| {
        let mut hash = Sha256::new();
        let time = bars.time.as_ref().and_then(|time| time.get(row)).copied().unwrap_or(TIME_MISSING);
        hash.update(time.to_le_bytes());
        for column in &columns {
            let value = column.values.get(row).copied().filter(|value| !value.is_nan());
            if let Some(value) = value {
                hash.update((column.name.len() as u64).to_le_bytes());
                hash.update(&column.name);
                hash.update(value.to_bits().to_le_bytes());
            }
        }
        let whole: [u8; 32] = hash.finalize().into();
        std::array::from_fn(|i| whole.get(i).copied().unwrap_or_default())
    };
    (0..bars.rows).map(hash).collect()
}

/// Bytes as text.
mod text {
    use super::{Deserialize, Deserializer, Engine, STANDARD_NO_PAD, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        T::try_from(bytes).map_err(|_| serde::de::Error::custom("bytes of another length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bars::Column;

    fn answered(n: u8, len: usize) -> Answered {
        Answered { input: [n; 16], answer: RawValue::from_string(format!("\"{}\"", "x".repeat(len))).unwrap() }
    }

    fn pinned() -> Pinned {
        let runnable = Runnable { rule: RuleName::new("a").unwrap(), version: 3, digest: Digest([9; 32]) };
        Pinned::new(&runnable, vec![-0.0, 0.1], vec![1, 2, 3])
    }

    #[test]
    fn bars_continue_overlap_leave_gaps_or_contradict() {
        let state = State::new(vec![pinned()], None);
        assert_eq!(state.known(0, &[[1; 16]]), Ok(0));
        assert_eq!(state.known(1, &[[1; 16]]), Err(SeqError::Gap { seq: 1, expected: 0 }));
        let state = state.after(vec![vec![4]], (0..5).map(|n| answered(n, 1)).collect(), 5, 3, 100);
        assert_eq!((state.next_seq, state.oldest_seq()), (5, 0), "all of the last call");
        let state = state.after(vec![vec![5]], vec![answered(5, 1)], 1, 3, 100);
        assert_eq!((state.next_seq, state.oldest_seq(), &state.rules[0].state), (6, 3, &vec![5]));
        assert_eq!(state.known(6, &[[6; 16]]), Ok(0));
        assert_eq!(state.known(4, &[[4; 16], [5; 16], [6; 16]]), Ok(2));
        assert_eq!(state.known(3, &[[3; 16]]), Ok(1));
        assert_eq!(state.answers(4, 2).len(), 2);
        assert_eq!(state.known(4, &[[4; 16], [7; 16]]), Err(SeqError::Conflict { seq: 5, expected: 6 }));
        assert_eq!(state.known(2, &[[2; 16]]), Err(SeqError::TooOld { seq: 2, oldest: 3, expected: 6 }));
        assert_eq!(state.known(u64::MAX, &[[2; 16]]), Err(SeqError::Gap { seq: u64::MAX, expected: 6 }));
    }

    #[test]
    fn answers_are_kept_within_their_bytes_but_those_of_the_call() {
        let state = State::new(vec![], None).after(vec![], (0..4).map(|n| answered(n, 8)).collect(), 4, 10, 35);
        assert_eq!(state.oldest_seq(), 0, "of one call");
        let state = state.after(vec![], vec![answered(4, 8)], 3, 10, 35);
        assert_eq!(state.oldest_seq(), 2, "the call overlapped by two");
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let state = State::new(vec![pinned()], None).after(vec![vec![0, 255]], vec![answered(1, 3)], 1, 9, 99);
        let text = state.write().unwrap();
        let read = State::read(&text).unwrap();
        assert_eq!(read.write().unwrap(), text);
        assert!(read.rules[0].params[0].is_sign_negative() && read.rules[0].state == [0, 255]);
        assert_eq!(read.answers(0, 1)[0].get(), "\"xxx\"");
        for other in [&b""[..], b"{}", b"null", &text[1..], &[&text[..], b" x"].concat()] {
            assert!(State::read(other).is_none());
        }
    }

    #[test]
    fn a_state_knows_the_request_that_began_it() {
        let [one, other] = [1, 2].map(|n| IdempotentRequest { key: [0; 32], request: [n; 32] });
        let state = State::new(vec![pinned()], Some(one)).after(vec![vec![4]], vec![answered(0, 1)], 1, 3, 100);
        let read = State::read(&state.write().unwrap()).unwrap().anew(vec![pinned()]);
        assert!(read.is_of(&one) && !read.is_of(&other) && read.next_seq == 0 && read.oldest_seq() == 0);
        assert!(!State::new(vec![], None).is_of(&one));
    }

    #[test]
    fn inputs_are_the_same_in_any_order_and_with_what_is_missing_left_out() {
        let column = |name: &str, value: f64| Column { name: name.to_owned(), values: vec![value], first_bool: None };
        let hash = |columns: Vec<Column>, time: Option<i64>| {
            hash_inputs(&Bars { rows: 1, columns, time: time.map(|time| vec![time]), single: true })
        };
        let one = hash(vec![column("a", 1.0), column("b", 2.0)], None);
        assert_eq!(one, hash(vec![column("b", 2.0), column("a", 1.0)], None));
        assert_eq!(one, hash(vec![column("b", 2.0), column("a", 1.0), column("c", f64::NAN)], Some(TIME_MISSING)));
        for other in [
            hash(vec![column("a", 2.0), column("b", 1.0)], None),
            hash(vec![column("a", 1.0)], None),
            hash(vec![column("a", 1.0), column("b", 2.0)], Some(0)),
            hash(vec![column("a", -1.0), column("b", 2.0)], None),
        ] {
            assert_ne!(one, other);
        }
    }
}
