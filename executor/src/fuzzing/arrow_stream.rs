//! Arrow streams, in pieces of any size.

use bytes::Bytes;

use super::{LIMITS, MANIFEST, is_answer};
use crate::api::problem::{Code, Problem};
use crate::api::streams::arrow::ArrowInput;
use crate::domain::bars::Bars;

/// Bytes of the largest batch that is taken.
const BATCH_BYTES: usize = 1 << 16;
/// Rows that are read at a time.
const ROWS: usize = 5;

/// The first byte is the size of the pieces that the others come in: they say the same however they are cut.
///
/// What decoding panics on is caught and is the sender's fault: a panic that leaves this is ours.
pub fn arrow_stream(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    let pieces = read(stream, usize::from(*piece).max(1));
    assert_eq!(whole, pieces, "in pieces of {piece}");
}

/// Bit patterns of the rows that were read, by column, and how the stream ended.
type Taken = (Vec<Vec<u64>>, Option<Code>);

fn read(stream: &[u8], piece: usize) -> Taken {
    let mut input = ArrowInput::new(BATCH_BYTES);
    let mut taken = Vec::new();
    let stream = Bytes::copy_from_slice(stream);
    let mut go = || -> Result<(), Problem> {
        let mut at = 0;
        while at < stream.len() {
            let end = stream.len().min(at + piece);
            input.push(stream.slice(at..end), "fuzzed", &MANIFEST, &LIMITS)?;
            at = end;
            // As much as one part of a message may have, what has come with it, and a batch.
            assert!(input.held_bytes() <= (2 << 20) + stream.len() + 2 * BATCH_BYTES, "{} held", input.held_bytes());
            drain(&mut input, &mut taken)?;
        }
        input.end()
    };
    let problem = go().err();
    if let Some(problem) = &problem {
        is_answer(problem, None);
    }
    (taken, problem.map(|problem| problem.code))
}

fn drain(input: &mut ArrowInput, taken: &mut Vec<Vec<u64>>) -> Result<(), Problem> {
    while input.is_ready() {
        if let Some(message) = input.take_message() {
            input.decoded(message.decode()?);
        } else if let Some(batch) = input.take(ROWS) {
            assert!((1..=ROWS).contains(&batch.rows()));
            let (bars, problem) = batch.read(&LIMITS, ROWS);
            append(&bars, taken);
            assert!(bars.rows <= batch.rows());
            assert_eq!(batch.binding().len(), MANIFEST.inputs.len());
            assert!(batch.binding().iter().flatten().all(|column| *column < bars.columns.len()));
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
        input.advance("fuzzed", &MANIFEST, &LIMITS)?;
    }
    Ok(())
}

fn append(bars: &Bars, taken: &mut Vec<Vec<u64>>) {
    taken.resize(taken.len().max(bars.columns.len()), Vec::new());
    for (column, to) in bars.columns.iter().zip(taken) {
        assert_eq!(column.values.len(), bars.rows);
        to.extend(column.values.iter().map(|value| value.to_bits()));
    }
    assert!(bars.time.as_ref().is_none_or(|time| time.len() == bars.rows));
}
