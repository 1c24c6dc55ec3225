//! What a rule said of its bars, as record batches.
//!
//! The trailer is the custom metadata, under the key `rulebox.trailer`, of a last batch without rows: readers that know
//! nothing of it see a stream that ends as streams do.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt64Array,
};
use arrow_ipc::convert::metadata_to_fb;
use arrow_ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, StreamWriter, write_message,
};
use arrow_ipc::{MessageBuilder, MessageHeader, RecordBatchBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use flatbuffers::FlatBufferBuilder;
use rulebox_abi::Verdict;
use rulebox_dsl::manifest::{Action, Manifest, ValueType};

use crate::domain::evaluation::Event;

/// Under which key the trailer stands.
pub const TRAILER: &str = "rulebox.trailer";

/// In the order of their numbers.
const ACTIONS: [&str; 3] = ["block", "reduce", "liquidate"];

/// Writes a stream of record batches.
pub struct ArrowAnswer {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    verdicts: ArrayRef,
    actions: ArrayRef,
    rows: Rows,
}

/// The columns of the batch that is being made.
#[derive(Default)]
struct Rows {
    bars: Vec<u64>,
    times: Vec<Option<i64>>,
    verdicts: Vec<i8>,
    actions: Vec<Option<i8>>,
    keeps: Vec<Option<f64>>,
    reasons: ListBuilder<StringBuilder>,
    faults: StringBuilder,
    outs: Vec<Out>,
}

/// A column of an out.
enum Out {
    Number(Float64Builder),
    Truth(BooleanBuilder),
}

impl ArrowAnswer {
    /// The head of a stream for a rule.
    ///
    /// # Errors
    /// None for the columns that there are.
    pub fn new(manifest: &Manifest) -> Result<Self, ArrowError> {
        let words = || DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        let item = Field::new("item", DataType::Utf8, true);
        let mut fields = vec![
            Field::new("bar", DataType::UInt64, false),
            Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
            Field::new("verdict", words(), false),
            Field::new("action", words(), true),
            Field::new("keep", DataType::Float64, true),
            Field::new("reasons", DataType::List(Arc::new(item)), false),
            Field::new("fault", DataType::Utf8, true),
        ];
        let mut rows = Rows::default();
        for out in &manifest.outs {
            let is_truth = out.ty == ValueType::Bool;
            let ty = if is_truth { DataType::Boolean } else { DataType::Float64 };
            // An out may have any name, also that of a column above.
            fields.push(Field::new(format!("out.{}", out.name), ty, true));
            rows.outs.push(if is_truth {
                Out::Truth(BooleanBuilder::new())
            } else {
                Out::Number(Float64Builder::new())
            });
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self {
            writer: StreamWriter::try_new(Vec::new(), &schema)?,
            schema,
            verdicts: Arc::new(StringArray::from_iter_values(Verdict::ALL.map(Verdict::name))),
            actions: Arc::new(StringArray::from_iter_values(ACTIONS)),
            rows,
        })
    }

    /// Adds a bar.
    #[expect(clippy::float_cmp, reason = "a truth value is exactly 0 or 1")]
    pub fn row(&mut self, event: Event) {
        let rows = &mut self.rows;
        rows.bars.push(event.bar as u64);
        rows.times.push(event.time.map(|time| time.0));
        rows.verdicts.push(match event.verdict {
            Verdict::Ok => 0,
            Verdict::Warn => 1,
            Verdict::Breach => 2,
            Verdict::Fault => 3,
        });
        rows.actions.push(event.action.map(|action| match action {
            Action::Block => 0,
            Action::Reduce => 1,
            Action::Liquidate => 2,
        }));
        rows.keeps.push(event.keep);
        for reason in event.reasons {
            rows.reasons.values().append_value(reason);
        }
        rows.reasons.append(true);
        rows.faults.append_option(event.fault.map(|fault| fault.message));
        for (out, value) in rows.outs.iter_mut().zip(event.out) {
            let value = Some(value).filter(|value| value.is_finite());
            match out {
                Out::Number(column) => column.append_option(value),
                Out::Truth(column) => column.append_option(value.map(|value| value == 1.0)),
            }
        }
    }

    /// The bytes since the last call: the head of the stream, the bars that were added as a batch.
    ///
    /// # Errors
    /// None for the columns that there are.
    pub fn take(&mut self) -> Result<Vec<u8>, ArrowError> {
        if !self.rows.bars.is_empty() {
            let batch = self.batch()?;
            self.writer.write(&batch)?;
        }
        Ok(std::mem::take(self.writer.get_mut()))
    }

    /// The last bytes, with the trailer.
    ///
    /// # Errors
    /// None for the columns that there are.
    pub fn end(mut self, trailer: String) -> Result<Vec<u8>, ArrowError> {
        let mut bytes = self.take()?;
        let empty = self.batch()?;
        write_message(&mut bytes, with_metadata(&empty, trailer)?, &IpcWriteOptions::default())?;
        self.writer.finish()?;
        bytes.append(self.writer.get_mut());
        Ok(bytes)
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = &mut self.rows;
        let times = TimestampMillisecondArray::from(std::mem::take(&mut rows.times)).with_timezone("UTC");
        let verdicts = Int8Array::from(std::mem::take(&mut rows.verdicts));
        let actions = Int8Array::from(std::mem::take(&mut rows.actions));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(std::mem::take(&mut rows.bars))),
            Arc::new(times),
            Arc::new(DictionaryArray::try_new(verdicts, Arc::clone(&self.verdicts))?),
            Arc::new(DictionaryArray::try_new(actions, Arc::clone(&self.actions))?),
            Arc::new(Float64Array::from(std::mem::take(&mut rows.keeps))),
            Arc::new(rows.reasons.finish()),
            Arc::new(rows.faults.finish()),
        ];
        columns.extend(rows.outs.iter_mut().map(|out| match out {
            Out::Number(column) => Arc::new(column.finish()) as ArrayRef,
            Out::Truth(column) => Arc::new(column.finish()),
        }));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// A batch as a message that carries the trailer. The writer has no place for it: its message is taken apart and put
/// together again.
fn with_metadata(batch: &RecordBatch, trailer: String) -> Result<EncodedData, ArrowError> {
    // Dictionaries went out with the first batch, and of a stream without one nobody asks.
    let mut known = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let schema = batch.schema();
    IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(&schema, &mut known, &options);
    let (_, encoded) =
        IpcDataGenerator::default().encode(batch, &mut known, &options, &mut IpcWriteContext::default())?;
    let lost = || ArrowError::IpcError("the message of a batch is not one".to_owned());
    let message = arrow_ipc::root_as_message(&encoded.ipc_message).map_err(|_| lost())?;
    let header = message.header_as_record_batch().ok_or_else(lost)?;
    let mut builder = FlatBufferBuilder::new();
    let nodes: Vec<_> = header.nodes().into_iter().flatten().copied().collect();
    let buffers: Vec<_> = header.buffers().into_iter().flatten().copied().collect();
    let (nodes, buffers) = (builder.create_vector(&nodes), builder.create_vector(&buffers));
    let metadata = metadata_to_fb(&mut builder, &HashMap::from([(TRAILER.to_owned(), trailer)]).into());
    let mut record = RecordBatchBuilder::new(&mut builder);
    record.add_length(header.length());
    record.add_nodes(nodes);
    record.add_buffers(buffers);
    let record = record.finish().as_union_value();
    let mut whole = MessageBuilder::new(&mut builder);
    whole.add_version(message.version());
    whole.add_header_type(MessageHeader::RecordBatch);
    whole.add_bodyLength(message.bodyLength());
    whole.add_header(record);
    whole.add_custom_metadata(metadata);
    let whole = whole.finish();
    builder.finish(whole, None);
    Ok(EncodedData { ipc_message: builder.finished_data().to_vec(), arrow_data: encoded.arrow_data })
}
