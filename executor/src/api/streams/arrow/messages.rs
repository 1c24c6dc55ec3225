//! From bytes to messages: prefix, metadata, body. Each length is checked before its bytes are kept.

use arrow_buffer::Buffer;
use arrow_ipc::convert::MessageBuffer;
use arrow_ipc::{Endianness, MessageHeader, MetadataVersion};
use axum::body::Bytes;

use super::{guarded, malformed, unsupported};
use crate::api::problem::{Code, Problem};

/// Bytes of a message's metadata: the schema of a thousand columns has some hundred KiB.
const METADATA_BYTES: usize = 1 << 20;
/// What may stand before the length of a message; older streams do without.
const CONTINUATION: u32 = u32::MAX;

/// A message that has arrived whole.
#[derive(Debug)]
pub(super) enum Message {
    /// Names and types of the columns.
    Schema(MessageBuffer),
    /// Some rows.
    Batch(BatchMessage),
}

/// A record batch that has not been decoded.
#[derive(Debug)]
pub(super) struct BatchMessage {
    pub(super) metadata: MessageBuffer,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
enum Part {
    /// Four bytes: the continuation, or the length.
    Prefix {
        continued: bool,
    },
    Metadata,
    Body(MessageBuffer),
    /// Behind the mark of the end.
    End,
}

/// Takes a stream apart.
#[derive(Debug)]
pub(super) struct Messages {
    part: Part,
    /// What has arrived of the part.
    buffer: Vec<u8>,
    /// Bytes of the whole part.
    wanted: usize,
    /// What has arrived and not been looked at.
    incoming: Bytes,
    most_bytes: usize,
    has_schema: bool,
}

impl Messages {
    /// Of at most so many bytes each.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            part: Part::Prefix { continued: false },
            buffer: Vec::new(),
            wanted: 4,
            incoming: Bytes::new(),
            most_bytes,
            has_schema: false,
        }
    }

    /// Takes what has arrived, once [`Messages::next`] has nothing more to give.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.incoming.is_empty() {
            self.incoming = bytes;
        } else {
            self.incoming = [&self.incoming[..], &bytes[..]].concat().into();
        }
    }

    /// Bytes that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity() + self.incoming.len()
    }

    /// Whether the bytes may end here. The mark of the end may be missing: the format allows it.
    pub(super) fn may_end(&self) -> bool {
        match self.part {
            Part::Prefix { continued } => !continued && self.buffer.is_empty() && self.has_schema,
            Part::End => true,
            Part::Metadata | Part::Body(_) => false,
        }
    }

    /// The next message, if it is there.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Problem> {
        loop {
            if matches!(self.part, Part::End) {
                return if self.incoming.is_empty() {
                    Ok(None)
                } else {
                    Err(malformed("there are bytes behind its end"))
                };
            }
            self.fill();
            if self.buffer.len() < self.wanted {
                return Ok(None);
            }
            let bytes = std::mem::take(&mut self.buffer);
            match std::mem::replace(&mut self.part, Part::Prefix { continued: false }) {
                Part::Prefix { continued } => self.prefix(&bytes, continued)?,
                Part::Metadata => {
                    let metadata = guarded(|| {
                        let parsed = MessageBuffer::try_new(Buffer::from_vec(bytes));
                        parsed.map_err(|_| malformed("a message has no readable metadata"))
                    })?;
                    self.wanted = guarded(|| self.body_length(&metadata))?;
                    self.part = Part::Body(metadata);
                }
                Part::Body(metadata) => {
                    self.wanted = 4;
                    if metadata.as_ref().header_type() == MessageHeader::Schema {
                        self.has_schema = true;
                        return Ok(Some(Message::Schema(metadata)));
                    }
                    return Ok(Some(Message::Batch(BatchMessage { metadata, body: bytes })));
                }
                Part::End => {}
            }
        }
    }

    /// Moves bytes to the part that they belong to. Memory is taken as they arrive, whatever length was announced.
    fn fill(&mut self) {
        let missing = self.wanted.saturating_sub(self.buffer.len());
        let piece = self.incoming.split_to(missing.min(self.incoming.len()));
        let needed = self.buffer.len() + piece.len();
        if needed > self.buffer.capacity() {
            let capacity = needed.max(self.buffer.capacity().saturating_mul(2)).min(self.wanted);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.extend_from_slice(&piece);
    }

    fn prefix(&mut self, bytes: &[u8], continued: bool) -> Result<(), Problem> {
        let word = bytes.try_into().map_or(0, u32::from_le_bytes);
        match word {
            CONTINUATION if !continued => self.part = Part::Prefix { continued: true },
            0 => self.part = Part::End,
            length => {
                let length = length as usize;
                if length > METADATA_BYTES {
                    return Err(malformed("this is no Arrow stream, or its metadata is larger than 1 MiB"));
                }
                (self.part, self.wanted) = (Part::Metadata, length);
            }
        }
        Ok(())
    }

    /// Bytes of the body behind this metadata, if it is one that is taken.
    fn body_length(&self, metadata: &MessageBuffer) -> Result<usize, Problem> {
        let message = metadata.as_ref();
        if !matches!(message.version(), MetadataVersion::V4 | MetadataVersion::V5) {
            return Err(unsupported("the stream is of a version before 4 of the Arrow format"));
        }
        match message.header_type() {
            MessageHeader::Schema if self.has_schema => return Err(malformed("it has a second schema")),
            MessageHeader::Schema => {
                let schema = message.header_as_schema().ok_or_else(|| malformed("its schema is not there"))?;
                if schema.endianness() != Endianness::Little {
                    return Err(unsupported("the stream is big-endian; send it little-endian"));
                }
            }
            MessageHeader::RecordBatch if !self.has_schema => return Err(malformed("it begins without a schema")),
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(|| malformed("a batch is not there"))?;
                if batch.compression().is_some() {
                    let detail = "the buffers of the stream are compressed (lz4 or zstd in the format itself); send them \
                                  as they are, and compress the whole body with `Content-Encoding`";
                    return Err(unsupported(detail));
                }
            }
            MessageHeader::DictionaryBatch => {
                return Err(unsupported("the stream has dictionaries; send columns of plain numbers"));
            }
            _ => return Err(malformed("a message is neither a schema nor a record batch")),
        }
        let length = usize::try_from(message.bodyLength()).map_err(|_| malformed("a length is negative"))?;
        if length > self.most_bytes {
            let detail = format!(
                "a record batch of {length} bytes is larger than {} bytes; write smaller batches (pyarrow: \
                 `write_table(table, max_chunksize=...)`)",
                self.most_bytes
            );
            return Err(Problem::new(Code::BODY_TOO_LARGE, detail));
        }
        Ok(length)
    }
}
