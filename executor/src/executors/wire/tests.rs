//! What crosses is what was sent, and nothing else is taken.

use bytes::Bytes as Buffer;
use http_body_util::StreamBody;
use hyper::body::Frame;
use proptest::prelude::*;
use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink, TimeColumns};
use rulebox_sandbox::{RunReport, Shape};
use serde_bytes::Bytes;

use super::*;

const SHAPE: Shape = Shape { params: 0, inputs: 2, uses_time: true, outs: 1, message_values: 2, keep: true };

/// A body in pieces of so many bytes.
fn body(
    bytes: &[u8],
    piece: usize,
) -> StreamBody<impl tokio_stream::Stream<Item = Result<Frame<Buffer>, std::io::Error>> + Unpin + use<>> {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Frame::data(Buffer::copy_from_slice(piece)))).collect();
    StreamBody::new(tokio_stream::iter(pieces))
}

#[tokio::test]
async fn frames_come_whole_however_they_are_cut() {
    let messages = [
        Request::Cancel,
        Request::Batch(Batch {
            refuel: Some(7),
            save: true,
            follows: false,
            input: InputBytes { rows: 0, inputs: vec![], time: None },
        }),
    ];
    let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(message, 0).unwrap()).collect();
    for piece in 1..=bytes.len() {
        let mut frames = Frames::new(body(&bytes, piece));
        assert!(matches!(postcard::from_bytes(&frames.next().await.unwrap().unwrap()).unwrap(), Request::Cancel));
        let second = frames.next().await.unwrap().unwrap();
        assert!(matches!(
            postcard::from_bytes(&second).unwrap(),
            Request::Batch(Batch { refuel: Some(7), save: true, .. })
        ));
        assert!(frames.next().await.unwrap().is_none());
    }
    for cut in 1..bytes.len() {
        let mut frames = Frames::new(body(&bytes[..cut], 3));
        let mut ended = frames.next().await;
        while let Ok(Some(_)) = ended {
            ended = frames.next().await;
        }
        let first = 4 + usize::try_from(u32::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
        assert_eq!(ended.is_ok(), cut == first, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_length_that_is_too_long_is_refused_before_its_bytes_come() {
    for length in [u32::try_from(FRAME_BYTES).unwrap() + 1, u32::MAX] {
        let mut frames = Frames::new(body(&length.to_le_bytes(), 4));
        assert!(matches!(frames.next().await, Err(FrameError::Unasked(_))));
    }
    let state = vec![0; FRAME_BYTES];
    let long = Done { report: REPORT, state: Some(Bytes::new(&state)) };
    assert!(frame(&Reply::Done(long), 0).is_err());
}

const REPORT: RunReport =
    RunReport { fuel: 1, setup_fuel: 2, memory_peak: 3, elapsed: std::time::Duration::from_nanos(4), texts_cut: 5 };

/// Results of bars whose verdicts these are.
fn lend(shape: &Shape, verdicts: &[u8], most: usize) -> Result<OutputColumns, FrameError> {
    let (fired, words) = (vec![1; 4 * verdicts.len()], vec![2; 8 * verdicts.len()]);
    let columns = [words.as_slice(); 4];
    let texts = [(0, "a text".to_owned())];
    let rows = OutputRows {
        rows: verdicts.len(),
        verdicts,
        fired: &fired,
        outs: &columns[..SHAPE.outs],
        message_values: &columns[..SHAPE.message_values],
        keep: &words,
        messages: &texts,
    };
    let sent = frame(&Reply::Rows(Rows::of(&rows)), 0).unwrap();
    let Reply::Rows(got) = postcard::from_bytes(&sent[4..]).unwrap() else { panic!("rows are rows") };
    let mut taken = OutputColumns::default();
    got.lend(shape, (most, 4), 100, |rows| taken.rows(0, rows))?;
    let mut given = OutputColumns::default();
    given.rows(0, &rows);
    assert_eq!(taken, given);
    Ok(taken)
}

#[test]
fn results_are_held_against_what_was_asked() {
    assert!(lend(&SHAPE, &[0, 1, 2, 3], 4).is_ok());
    assert!(lend(&SHAPE, &[0, 1, 2, 3], 3).is_err(), "more bars than were sent");
    assert!(lend(&SHAPE, &[0, 1, 2], 4).is_err(), "a part of a call");
    assert!(lend(&SHAPE, &[0, 1, 2], 3).is_ok(), "the rest");
    assert!(lend(&SHAPE, &[], 4).is_err(), "no bars, for ever");
    assert!(lend(&SHAPE, &[0, 4], 2).is_err(), "a verdict that is none");
    for other in [Shape { outs: 2, ..SHAPE }, Shape { message_values: 1, ..SHAPE }, Shape { keep: false, ..SHAPE }] {
        assert!(lend(&other, &[0], 1).is_err(), "{other:?}");
    }
}

#[test]
fn lists_that_are_longer_than_any_are_not_read() {
    let reads = |rows: Rows<'_>| {
        let message = frame(&Reply::Rows(rows), 0).unwrap();
        postcard::from_bytes::<Reply<'_>>(&message[4..]).is_ok()
    };
    let none = || {
        Rows::of(&OutputRows {
            rows: 1,
            verdicts: &[],
            fired: &[],
            outs: &[],
            message_values: &[],
            keep: &[],
            messages: &[],
        })
    };
    let columns = |count| vec![Bytes::new(&[]); count];
    assert!(reads(Rows { outs: columns(1_024), message_values: columns(1_024), ..none() }));
    assert!(!reads(Rows { outs: columns(1_025), ..none() }));
    assert!(!reads(Rows { message_values: columns(1_025), ..none() }));
    assert!(reads(Rows { messages: vec![(0, ""); 4_096], ..none() }));
    assert!(!reads(Rows { messages: vec![(0, ""); 4_097], ..none() }));
}

#[test]
fn a_column_of_another_length_is_refused() {
    let inputs = [[1.0, 2.0], [3.0, 4.0]];
    let inputs: Vec<&[f64]> = inputs.iter().map(<[f64; 2]>::as_slice).collect();
    let input = InputColumns { rows: 2, inputs: &inputs, time: None };
    let mut columns = borrowed(&input, 0, 2);
    assert!(columns.numbers().is_ok());
    columns.rows = 3;
    assert!(columns.numbers().is_err());
    columns.rows = u32::MAX;
    assert!(columns.numbers().is_err());
}

proptest! {
    #[test]
    fn columns_cross_bit_for_bit(
        rows in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<i64>(), any::<i32>()), 1..200),
        chunk in 1_u32..50,
    ) {
        let column = |of: fn(&(u64, u64, i64, i32)) -> u64| -> Vec<f64> { rows.iter().map(|row| f64::from_bits(of(row))).collect() };
        let (a, b) = (column(|row| row.0), column(|row| row.1));
        let time: Vec<i64> = rows.iter().map(|row| row.2).collect();
        let day: Vec<i32> = rows.iter().map(|row| row.3).collect();
        let inputs = [a.as_slice(), b.as_slice()];
        let times = TimeColumns { time: &time, local_day: &day, minute_of_day: &day, weekday: &day };
        let input = InputColumns { rows: rows.len(), inputs: &inputs, time: Some(times) };
        let piece = rows_a_batch(&input, chunk);
        prop_assert_eq!(piece % chunk as usize, 0, "whole calls");
        let (mut got, mut start) = (Vec::new(), 0);
        while start < rows.len() {
            let some = 7.min(rows.len() - start);
            let sent = frame(&Request::Batch(Batch { refuel: None, save: false, follows: true, input: borrowed(&input, start, some) }), 0).unwrap();
            // As it comes: at no address in particular.
            let at = [&[0_u8][..], &sent[4..]].concat();
            let Request::Batch(batch) = postcard::from_bytes(&at[1..]).unwrap() else { panic!("a batch is a batch") };
            batch.input.numbers().unwrap().lend(some, |input| {
                let time = input.time.unwrap();
                for row in 0..some {
                    let bits = [input.inputs[0][row].to_bits(), input.inputs[1][row].to_bits()];
                    assert_eq!([time.local_day[row], time.minute_of_day[row]], [time.weekday[row]; 2]);
                    got.push((bits[0], bits[1], time.time[row], time.local_day[row]));
                }
            });
            start += some;
        }
        prop_assert_eq!(got, rows);
    }

    #[test]
    fn what_is_no_message_is_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Request::Batch(batch)) = postcard::from_bytes(&bytes) {
            let _ = batch.input.numbers();
        }
        if let Ok(Reply::Rows(rows)) = postcard::from_bytes(&bytes) {
            let _ = rows.lend(&SHAPE, (10, 3), 100, |_| {});
        }
    }
}
