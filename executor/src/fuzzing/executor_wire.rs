//! What the API and an executor say to each other, said by somebody else.

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use rulebox_abi::columns::OutputRows;
use rulebox_sandbox::Shape;

use crate::executors::wire::{FRAME_BYTES, Frames, Reply, Request, frame};

/// Bars that were asked for.
const MOST: usize = 7;
/// Bytes of a text.
const MESSAGE_BYTES: usize = 100;

/// The first byte is the size of the pieces that the others come in, and the shape of the module that was asked for.
/// Frames are read as requests and as replies.
pub fn executor_wire(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else { return };
    let shape = Shape {
        params: 0,
        inputs: 2,
        uses_time: true,
        outs: usize::from(first & 3),
        message_values: usize::from(first >> 2 & 3),
        keep: first & 16 != 0,
    };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(whole, frames(stream, usize::from(*first).max(1)), "in pieces of {first}");
    for message in whole.0 {
        request(&message);
        reply(&message, &shape);
    }
    // As a message by itself, so that its length need not be right.
    request(stream);
    reply(stream, &shape);
}

/// The frames of a body, and whether it ended well.
fn frames(stream: &[u8], piece: usize) -> (Vec<Bytes>, bool) {
    let pieces: Vec<_> =
        stream.chunks(piece).map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let mut frames = Frames::new(StreamBody::new(tokio_stream::iter(pieces)));
    let mut taken = Vec::new();
    loop {
        // A body that has not come yet: waiting is given up and begun again, which loses nothing.
        let Some(next) = frames.next().now_or_never() else { continue };
        match next {
            Ok(Some(frame)) => {
                assert!(frame.len() <= FRAME_BYTES);
                taken.push(frame);
            }
            ended => return (taken, ended.is_ok()),
        }
    }
}

/// Columns are lent if each is as long as the batch says.
fn request(message: &[u8]) {
    let Ok(request) = postcard::from_bytes::<Request<'_>>(message) else { return };
    if let Request::Batch(batch) = &request
        && let Ok(columns) = batch.input.numbers()
    {
        let rows = batch.input.rows as usize;
        columns.lend(rows, |input| {
            assert!(input.inputs.iter().all(|column| column.len() == rows));
            assert_eq!(input.time.is_some(), batch.input.time.is_some());
            if let Some(time) = &input.time {
                let days = [time.local_day.len(), time.minute_of_day.len(), time.weekday.len()];
                assert_eq!((time.time.len(), days), (rows, [rows; 3]));
            }
        });
    }
    let written = frame(&request, 0).unwrap();
    let again = postcard::from_bytes::<Request<'_>>(&written[4..]).unwrap();
    assert_eq!(frame(&again, 0).unwrap(), written, "what is written is what was read");
}

/// Results are lent if they are of the shape that was asked for.
fn reply(message: &[u8], shape: &Shape) {
    let Ok(reply) = postcard::from_bytes::<Reply<'_>>(message) else { return };
    if let Reply::Rows(rows) = &reply {
        let mut lent = None;
        // Of a call of so many bars, or of what is left of them.
        let rest = (rows.rows as usize).min(MOST);
        let taken = rows.lend(shape, (rest, MOST), MESSAGE_BYTES, |rows| {
            is_of(rows, shape);
            lent = Some(rows.rows);
        });
        assert_eq!(taken.ok(), lent);
    }
    let written = frame(&reply, 0).unwrap();
    let again = postcard::from_bytes::<Reply<'_>>(&written[4..]).unwrap();
    assert_eq!(frame(&again, 0).unwrap(), written, "what is written is what was read");
}

fn is_of(rows: &OutputRows<'_>, shape: &Shape) {
    let words = rows.rows * 8;
    assert!((1..=MOST).contains(&rows.rows));
    assert!(rows.verdicts.len() == rows.rows && rows.verdicts.iter().all(|verdict| *verdict <= 3));
    assert_eq!(rows.fired.len(), rows.rows * 4);
    assert_eq!((rows.outs.len(), rows.message_values.len()), (shape.outs, shape.message_values));
    assert!(rows.outs.iter().chain(rows.message_values).all(|column| column.len() == words));
    assert_eq!(rows.keep.len(), if shape.keep { words } else { 0 });
    let mut before = None;
    for (row, text) in rows.messages {
        assert!(*row < rows.rows && before < Some(*row), "bar {row} of {}", rows.rows);
        assert!(text.len() <= MESSAGE_BYTES && !text.contains(char::is_control), "{text:?}");
        before = Some(*row);
    }
}
