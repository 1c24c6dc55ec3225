//! Messages in a stream of bytes: each behind its length, and no longer than there is room for.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::Serialize;

/// Bytes of a frame: 4,096 bars of as many columns as a rule can have, or the largest state.
pub const FRAME_BYTES: usize = 32 << 20;
/// Bytes of the length in front.
const HEAD: usize = 4;

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
}

impl<B> Frames<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Of this body.
    pub fn new(body: B) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next one; `None` at the end of the body.
    ///
    /// # Errors
    /// If the connection breaks, or the frame is too long or cut off. Waiting for it can be given up and begun again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            match self.body.frame().await {
                Some(Ok(part)) => {
                    if let Ok(data) = part.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(FrameError::Broken(error.into())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(FrameError::Unasked("a frame was cut off")),
            }
        }
    }

    /// A frame that has come whole.
    fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > FRAME_BYTES {
            return Err(FrameError::Unasked("a frame is longer than it may be"));
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(HEAD + length);
        Ok(Some(frame.split_off(HEAD).freeze()))
    }
}
