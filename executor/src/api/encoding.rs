//! The bytes of a request's body, decompressed as they arrive.
//!
//! Nothing here is bounded in sum, and everything at a time: a chunk is small, whatever it was compressed from, and who
//! reads chunks checks the limit of what is kept before keeping the next.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::BytesMut;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::problem::{Code, Problem};

/// Decompressed bytes of a chunk.
const CHUNK_BYTES: usize = 16 << 10;
/// The largest window of a zstd frame is 2 to this power: 8 MiB, which every level but `--ultra` and `--long` keeps to.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952; several members are one body.
    Gzip,
    /// RFC 8878; several frames are one body.
    Zstd,
}

impl Encoding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED_MEDIA_TYPE`] if it is another, or more than one.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return if headers.contains_key(CONTENT_ENCODING) { Err(not_taken()) } else { Ok(Self::Identity) };
        };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            // RFC 9110, 8.4.1.3: the same.
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(not_taken()),
        }
    }

    /// Bytes of memory that decompressing takes once it has begun. What is as little as a connection's own buffers is
    /// not counted.
    pub const fn memory(self) -> usize {
        match self {
            Self::Identity | Self::Gzip => 0,
            Self::Zstd => 1 << ZSTD_WINDOW_LOG,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

fn not_taken() -> Problem {
    let detail = "send the body as it is, or with `Content-Encoding: gzip` or `Content-Encoding: zstd`: one, once";
    Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Why there are no more bytes.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client went away, or broke its own framing.
    #[error("the body ended before its length")]
    Cut,
    /// More compressed bytes than were to be read, whatever comes out of them.
    #[error("the compressed body is too long")]
    TooLong,
    /// The compressed bytes stop in the middle.
    #[error("the {0} body ends before its end")]
    Early(&'static str),
    /// The compressed bytes are not what they should be.
    #[error("the body is not {0} throughout{more}", more = if *.0 == "zstd" { ", or its window is larger than 8 MiB" } else { "" })]
    Corrupt(&'static str),
}

impl BodyError {
    /// As the caller reads it.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Cut => Code::BODY_INCOMPLETE,
            Self::TooLong => Code::BODY_TOO_LARGE,
            Self::Early(_) | Self::Corrupt(_) => Code::MALFORMED_ENCODING,
        };
        Problem::new(code, self.to_string())
    }
}

enum Source {
    Plain(Body),
    Decoder(Pin<Box<dyn AsyncRead + Send>>),
}

/// A body, to be read chunk by chunk.
pub struct BodyBytes {
    source: Source,
    encoding: Encoding,
    chunk: BytesMut,
}

impl BodyBytes {
    /// A body of at most so many bytes before they are decompressed.
    pub fn new(body: Body, encoding: Encoding, most: usize) -> Self {
        let source = match encoding {
            Encoding::Identity => Source::Plain(body),
            Encoding::Gzip => {
                let mut decoder = GzipDecoder::new(compressed(body, most));
                decoder.multiple_members(true);
                Source::Decoder(Box::pin(decoder))
            }
            Encoding::Zstd => {
                let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                let mut decoder = ZstdDecoder::with_params(compressed(body, most), &window);
                decoder.multiple_members(true);
                Source::Decoder(Box::pin(decoder))
            }
        };
        Self { source, encoding, chunk: BytesMut::new() }
    }

    /// The next bytes, at least one; `None` at the end. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// If the body ends early, or is not compressed as it says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        match &mut self.source {
            Source::Plain(body) => loop {
                let Some(frame) = body.frame().await else { return Ok(None) };
                match frame.map_err(|_| BodyError::Cut)?.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    // Trailers say nothing here.
                    _ => {}
                }
            },
            Source::Decoder(decoder) => {
                self.chunk.reserve(CHUNK_BYTES);
                let read = decoder.read_buf(&mut self.chunk).await;
                match read.map_err(|error| told(&error, self.encoding.name()))? {
                    0 => Ok(None),
                    _ => Ok(Some(self.chunk.split().freeze())),
                }
            }
        }
    }
}

/// What went wrong under a decoder, or in it.
fn told(error: &io::Error, name: &'static str) -> BodyError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<BodyError>()) {
        Some(BodyError::TooLong) => BodyError::TooLong,
        Some(_) => BodyError::Cut,
        None if error.kind() == io::ErrorKind::UnexpectedEof => BodyError::Early(name),
        None => BodyError::Corrupt(name),
    }
}

/// Bytes that give nothing (empty members, frames to be skipped) cost time all the same: they are bounded too.
fn compressed(body: Body, most: usize) -> impl tokio::io::AsyncBufRead + Send {
    let mut left = most;
    let bytes = body.into_data_stream().map(move |bytes| {
        let bytes = bytes.map_err(|_| io::Error::other(BodyError::Cut))?;
        let Some(rest) = left.checked_sub(bytes.len()) else { return Err(io::Error::other(BodyError::TooLong)) };
        left = rest;
        Ok(bytes)
    });
    StreamReader::new(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Result<Encoding, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Encoding::of(&headers)
    }

    #[test]
    fn one_encoding_is_taken_and_no_other() {
        assert_eq!(of(&[]).unwrap(), Encoding::Identity);
        assert_eq!(of(&["identity"]).unwrap(), Encoding::Identity);
        assert_eq!(of(&["GZip"]).unwrap(), Encoding::Gzip);
        assert_eq!(of(&["x-gzip"]).unwrap(), Encoding::Gzip);
        assert_eq!(of(&["zstd"]).unwrap(), Encoding::Zstd);
        for bad in [&["br"][..], &["deflate"], &["gzip, gzip"], &["gzip", "zstd"], &["identity", "identity"], &["gz"]] {
            assert_eq!(of(bad).unwrap_err().code, Code::UNSUPPORTED_MEDIA_TYPE, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn compressed_bytes_that_give_nothing_are_bounded() {
        // A frame to be skipped, of nothing: RFC 8878, 3.1.2.
        let frame = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        let read = async |frames: usize| {
            let mut body = BodyBytes::new(Body::from(frame.repeat(frames)), Encoding::Zstd, 8_000);
            body.next().await
        };
        assert!(matches!(read(1_000).await, Ok(None)));
        assert!(matches!(read(1_001).await, Err(BodyError::TooLong)));
    }
}
