//! Messages in a stream of bytes: each behind its length, and no longer than there is room for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bytes of a frame: 4,096 bars of as many columns as a rule can have, or the largest state.
pub const FRAME_BYTES: usize = 32 << 20;
/// Bytes of the length in front.
const HEAD: usize = 4;
/// Frames up to this have room: there are no more of them than streams.
const SMALL: usize = 64 << 10;
/// Room is counted in these.
const UNIT: usize = 1 << 10;
/// A frame that has begun is whole in this time.
const WHOLE_IN: Duration = Duration::from_secs(30);

/// What came is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream broke.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A frame does not hold what it should.
    #[error("a frame cannot be read: {0}")]
    Content(#[from] postcard::Error),
    /// It is not what was asked for.
    #[error("{0}")]
    Unasked(&'static str),
    /// Its rest did not come, or there was no room for it.
    #[error("a frame was not whole in time")]
    Late,
}

/// Room for the frames of all streams that share it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FrameRoom {
    free: Arc<Semaphore>,
    whole_in: Duration,
    /// Whether a frame keeps its room once it is whole.
    keeps: bool,
}

impl FrameRoom {
    /// For so many bytes, of which a frame of any length is a part.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes.max(FRAME_BYTES) / UNIT).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(units)), whole_in: WHOLE_IN, keeps: true }
    }

    /// For so many bytes of frames that are on their way: what is whole is somebody else's to bound.
    pub fn on_their_way(bytes: usize) -> Self {
        Self { keeps: false, ..Self::new(bytes) }
    }
}

/// Writes a message as a frame.
///
/// # Errors
/// If it is longer than a frame may be.
pub fn frame(message: &impl Serialize, about: usize) -> Result<Bytes, FrameError> {
    let mut bytes = Vec::with_capacity(HEAD + about);
    bytes.extend_from_slice(&[0; HEAD]);
    let mut bytes = postcard::to_extend(message, bytes)?;
    let length = bytes.len() - HEAD;
    let head = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES).map(u32::to_le_bytes);
    match (head, bytes.first_chunk_mut::<HEAD>()) {
        (Some(length), Some(head)) => *head = length,
        _ => return Err(FrameError::Unasked("a message is longer than a frame may be")),
    }
    Ok(bytes.into())
}

/// Reads the frames of a body.
#[derive(Debug)]
pub struct Frames<B> {
    body: B,
    buffer: BytesMut,
    bounds: Option<Bounded>,
}

/// What a reader holds who trusts nobody to end what was begun.
#[derive(Debug)]
struct Bounded {
    room: FrameRoom,
    /// For the frame that is being read.
    taken: Option<OwnedSemaphorePermit>,
    /// When that one must be whole.
    late_at: Option<Instant>,
}

impl<B> Frames<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Of this body.
    pub fn new(body: B) -> Self {
        Self { body, buffer: BytesMut::new(), bounds: None }
    }

    /// Of this body: a frame that has begun is whole in a while, and a long one is read once there is room for it, which
    /// it may keep until it is dropped. To be read within a runtime.
    pub fn within(body: B, room: FrameRoom) -> Self {
        Self { bounds: Some(Bounded { room, taken: None, late_at: None }), ..Self::new(body) }
    }

    /// The next one; `None` at the end of the body.
    ///
    /// # Errors
    /// If the connection breaks, or the frame is too long, late or cut off. Waiting for it can be given up and begun again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.next_of(FRAME_BYTES).await
    }

    /// The next one, of so many bytes at most; `None` at the end of the body.
    ///
    /// # Errors
    /// As of [`Frames::next`].
    pub async fn next_of(&mut self, most: usize) -> Result<Option<Bytes>, FrameError> {
        loop {
            let length = self.length(most)?;
            if let Some(bounds) = &mut self.bounds {
                bounds.admit(length).await?;
            }
            if let Some(frame) = length.and_then(|length| self.take(length)) {
                return Ok(Some(frame));
            }
            let late_at = self.bounds.as_mut().and_then(|bounds| bounds.late_at(!self.buffer.is_empty()));
            let part = match late_at {
                Some(late_at) => timeout_at(late_at, self.body.frame()).await.map_err(|_| FrameError::Late)?,
                None => self.body.frame().await,
            };
            match part {
                Some(Ok(part)) => {
                    if let Ok(data) = part.into_data() {
                        // All of it at once: there is room for it.
                        if let (Some(length), true) = (length, self.bounds.is_some()) {
                            self.buffer.reserve((HEAD + length).saturating_sub(self.buffer.len()));
                        }
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(FrameError::Broken(error.into())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(FrameError::Unasked("a frame was cut off")),
            }
        }
    }

    /// How long the frame is that has begun to come.
    fn length(&self, most: usize) -> Result<Option<usize>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > most.min(FRAME_BYTES) {
            return Err(FrameError::Unasked("a frame is longer than it may be"));
        }
        Ok(Some(length))
    }

    /// The frame of this length, if it has come whole.
    fn take(&mut self, length: usize) -> Option<Bytes> {
        if self.buffer.len() < HEAD + length {
            return None;
        }
        let frame = self.buffer.split_to(HEAD + length).split_off(HEAD).freeze();
        let Some(bounds) = &mut self.bounds else { return Some(frame) };
        bounds.late_at = None;
        Some(match bounds.taken.take().filter(|_| bounds.room.keeps) {
            Some(room) => Bytes::from_owner(Kept { frame, _room: room }),
            None => frame,
        })
    }
}

impl Bounded {
    /// Waits for room for a frame of this length, unless it has it.
    async fn admit(&mut self, length: Option<usize>) -> Result<(), FrameError> {
        let Some(length) = length.filter(|length| *length > SMALL && self.taken.is_none()) else { return Ok(()) };
        let units = u32::try_from(length.div_ceil(UNIT)).map_err(|_| FrameError::Late)?;
        let late_at = self.late_at(true).unwrap_or_else(Instant::now);
        let room = timeout_at(late_at, Arc::clone(&self.room.free).acquire_many_owned(units)).await;
        self.taken = Some(room.map_err(|_| FrameError::Late)?.map_err(|_| FrameError::Late)?);
        Ok(())
    }

    /// When the frame that is being read must be whole, if one has begun.
    fn late_at(&mut self, has_begun: bool) -> Option<Instant> {
        if !has_begun {
            return None;
        }
        Some(*self.late_at.get_or_insert_with(|| Instant::now() + self.room.whole_in))
    }
}

/// A frame, and the room that it takes.
struct Kept {
    frame: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt, StreamExt};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    type Parts = tokio::sync::mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

    /// A reader within this room, and what writes to it.
    fn reader(room: &FrameRoom) -> (Parts, Frames<impl Body<Data = Bytes, Error = Infallible> + Unpin + use<>>) {
        let (parts, body) = tokio::sync::mpsc::channel(8);
        let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(body).boxed());
        (parts, Frames::within(body, room.clone()))
    }

    async fn send(parts: &Parts, bytes: Vec<u8>) {
        parts.send(Ok(Frame::data(bytes.into()))).await.unwrap();
    }

    /// A frame of so many bytes, and where it ends.
    fn long(bytes: usize) -> Vec<u8> {
        [&u32::try_from(bytes).unwrap().to_le_bytes()[..], &vec![7; bytes]].concat()
    }

    #[tokio::test]
    async fn frames_wait_for_room_that_those_before_keep() {
        let room = FrameRoom::new(FRAME_BYTES);
        let ((first, mut one), (second, mut other)) = (reader(&room), reader(&room));
        send(&first, long(FRAME_BYTES)).await;
        let kept = one.next().await.unwrap().unwrap();
        assert_eq!((kept.len(), kept[FRAME_BYTES - 1]), (FRAME_BYTES, 7));
        send(&second, long(SMALL)).await;
        send(&second, long(SMALL + 1)).await;
        assert_eq!(other.next().await.unwrap().unwrap().len(), SMALL, "small ones wait for nobody");
        assert!(other.next().now_or_never().is_none(), "there is no room");
        drop(kept);
        assert_eq!(other.next().await.unwrap().unwrap().len(), SMALL + 1);
    }

    #[tokio::test]
    async fn a_frame_on_its_way_has_its_room_back_once_it_is_whole() {
        let room = FrameRoom::on_their_way(FRAME_BYTES);
        let ((first, mut one), (second, mut other)) = (reader(&room), reader(&room));
        let mut cut = long(FRAME_BYTES);
        let last = cut.pop().unwrap();
        send(&first, cut).await;
        assert!(one.next().now_or_never().is_none());
        send(&second, long(SMALL + 1)).await;
        assert!(other.next().now_or_never().is_none(), "there is no room");
        send(&first, vec![last]).await;
        let _kept = one.next().await.unwrap().unwrap();
        assert_eq!(other.next().await.unwrap().unwrap().len(), SMALL + 1);
    }

    #[tokio::test]
    async fn what_has_begun_is_whole_in_a_while_and_what_has_not_may_wait() {
        let room = FrameRoom { whole_in: Duration::from_millis(20), ..FrameRoom::new(FRAME_BYTES) };
        let (parts, mut frames) = reader(&room);
        send(&parts, long(1)).await;
        assert_eq!(frames.next().await.unwrap().unwrap().as_ref(), [7]);
        assert!(tokio::time::timeout(10 * room.whole_in, frames.next()).await.is_err(), "none has begun");
        let mut cut = long(SMALL + 1);
        cut.pop();
        send(&parts, cut).await;
        assert!(matches!(frames.next().await, Err(FrameError::Late)));
        drop(frames);
        // The room of what never came is there again.
        let (parts, mut frames) = reader(&room);
        send(&parts, long(FRAME_BYTES)).await;
        assert!(frames.next().await.unwrap().is_some());
    }
}
