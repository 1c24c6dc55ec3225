//! From messages to bars: the schema held against the rule, the batches decoded and handed out in slices.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_record_batch;
use arrow_schema::{DataType, Schema, SchemaRef};
use axum::body::Bytes;
use rulebox_dsl::manifest::Manifest;

use super::columns::{is_time, is_value, times, values};
use super::messages::{BatchMessage, Message, Messages};
use super::{guarded, malformed};
use crate::api::params::shorten;
use crate::api::problem::{Code, Problem};
use crate::api::streams::lines::too_many_rows;
use crate::config;
use crate::domain::bars::{Bars, Column};
use crate::execution::bind::{bind_columns, check_columns};

/// Bars as record batches, gathered as they arrive and read some at a time.
#[derive(Debug)]
pub struct ArrowInput {
    messages: Messages,
    /// Once it has come.
    layout: Option<Arc<Layout>>,
    /// A batch that has come and not been decoded.
    message: Option<BatchMessage>,
    batch: Option<RecordBatch>,
    /// Bytes of that batch.
    batch_bytes: usize,
    /// Rows of it that have been taken.
    taken: usize,
    /// The number of its first row.
    first: usize,
}

/// The columns of a stream.
#[derive(Debug)]
struct Layout {
    schema: SchemaRef,
    /// For each input of the rule, the index of its column among those that are no times.
    binding: Vec<Option<usize>>,
}

/// A batch to be decoded on a thread that may be busy.
#[derive(Debug)]
pub struct Undecoded {
    layout: Arc<Layout>,
    message: BatchMessage,
}

/// Some rows, to be read on a thread that may be busy.
#[derive(Debug)]
pub struct ArrowBatch {
    layout: Arc<Layout>,
    rows: RecordBatch,
    first: usize,
}

impl ArrowInput {
    /// Nothing yet.
    pub fn new(most_bytes: usize) -> Self {
        let messages = Messages::new(most_bytes);
        Self { messages, layout: None, message: None, batch: None, batch_bytes: 0, taken: 0, first: 0 }
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    /// What is wrong with the stream, or with its columns.
    pub fn push(
        &mut self,
        bytes: Bytes,
        rule: &str,
        manifest: &Manifest,
        limits: &config::Evaluation,
    ) -> Result<(), Problem> {
        self.messages.push(bytes);
        self.advance(rule, manifest, limits)
    }

    /// Looks at what has arrived, up to the next batch.
    ///
    /// # Errors
    /// As [`ArrowInput::push`].
    pub fn advance(&mut self, rule: &str, manifest: &Manifest, limits: &config::Evaluation) -> Result<(), Problem> {
        while !self.is_ready() {
            match self.messages.next()? {
                None => return Ok(()),
                Some(Message::Batch(message)) => {
                    self.batch_bytes = message.body.capacity();
                    self.message = Some(message);
                }
                Some(Message::Schema(message)) => {
                    let schema = guarded(|| {
                        let header = message.as_ref().header_as_schema();
                        let header = header.ok_or_else(|| malformed("its schema is not there"))?;
                        try_fb_to_schema(header).map_err(|_| malformed("its schema is not readable"))
                    })?;
                    self.layout = Some(Arc::new(Layout::new(schema, rule, manifest, limits)?));
                }
            }
        }
        Ok(())
    }

    /// No more will arrive.
    ///
    /// # Errors
    /// If it ends in the middle of a message.
    pub fn end(&self) -> Result<(), Problem> {
        if self.messages.may_end() { Ok(()) } else { Err(malformed("it ends before its end")) }
    }

    /// Whether there are rows.
    pub const fn is_ready(&self) -> bool {
        self.message.is_some() || self.batch.is_some()
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        self.messages.held_bytes() + self.batch_bytes
    }

    /// Takes the batch that is not decoded yet.
    pub fn take_message(&mut self) -> Option<Undecoded> {
        let layout = self.layout.clone()?;
        self.message.take().map(|message| Undecoded { layout, message })
    }

    /// Puts a decoded batch in its place.
    pub fn decoded(&mut self, batch: RecordBatch) {
        (self.batch, self.taken) = (Some(batch).filter(|batch| batch.num_rows() > 0), 0);
        self.release();
    }

    /// Takes at most `most` rows of the batch.
    pub fn take(&mut self, most: usize) -> Option<ArrowBatch> {
        let (layout, batch) = (self.layout.clone()?, self.batch.as_ref()?);
        let rows = most.min(batch.num_rows() - self.taken);
        let taken = ArrowBatch { layout, rows: batch.slice(self.taken, rows), first: self.first };
        self.taken += rows;
        self.first = self.first.saturating_add(rows);
        if self.taken >= batch.num_rows() {
            self.batch = None;
        }
        self.release();
        Some(taken)
    }

    fn release(&mut self) {
        if !self.is_ready() {
            self.batch_bytes = 0;
        }
    }
}

impl Layout {
    /// Holds a schema against a rule.
    fn new(schema: Schema, rule: &str, manifest: &Manifest, limits: &config::Evaluation) -> Result<Self, Problem> {
        let path = |name: &str| format!("columns.{}", shorten(name));
        if schema.fields().len() > limits.columns {
            let detail = format!("a request may have {} columns", limits.columns);
            return Err(Problem::new(Code::TOO_MANY_VALUES, detail));
        }
        // As if there were one row, so that what is said is what is said of JSON.
        let mut bars = Bars { rows: 1, ..Bars::default() };
        for (at, field) in schema.fields().iter().enumerate() {
            let (name, ty) = (field.name(), field.data_type());
            if schema.fields().iter().take(at).any(|other| other.name() == name) {
                let detail = format!("`{}` is there twice", shorten(name));
                return Err(Problem::new(Code::INVALID_REQUEST, detail).at(path(name)));
            }
            if name == "time" {
                bars.time = Some(Vec::new());
                if !is_time(ty) {
                    let wanted = "a timestamp of any unit and zone, a date, whole milliseconds since 1970, or text";
                    return Err(wrong_type(name, ty, wanted).at(path(name)));
                }
            } else {
                let first_bool = (*ty == DataType::Boolean).then_some(0);
                bars.columns.push(Column { name: name.clone(), values: Vec::new(), first_bool });
            }
        }
        check_columns(&bars, &std::iter::once(manifest))?;
        let mut values = schema.fields().iter().filter(|field| field.name() != "time");
        if let Some(field) = values.find(|field| !is_value(field.data_type())) {
            let problem = wrong_type(field.name(), field.data_type(), "float64, a smaller float, an integer or bool");
            return Err(problem.at(path(field.name())));
        }
        let binding = bind_columns(rule, manifest, &bars)?;
        Ok(Self { schema: Arc::new(schema), binding })
    }
}

fn wrong_type(name: &str, ty: &DataType, wanted: &str) -> Problem {
    let ty = shorten(&ty.to_string());
    let detail = format!("column `{}` is of type {ty}, which is not converted; send {wanted}", shorten(name));
    Problem::new(Code::COLUMN_TYPE, detail)
}

impl Undecoded {
    /// Decodes the batch. For threads that may be busy.
    ///
    /// # Errors
    /// If it contradicts itself or its schema.
    pub fn decode(self) -> Result<RecordBatch, Problem> {
        let Self { layout, message: BatchMessage { metadata, body } } = self;
        guarded(move || {
            let message = metadata.as_ref();
            let header = message.header_as_record_batch().ok_or_else(|| malformed("a batch is not there"))?;
            check_lengths(header, &layout.schema, body.len())?;
            let (schema, version) = (Arc::clone(&layout.schema), message.version());
            let body = Buffer::from_vec(body);
            let batch = read_record_batch(&body, header, schema, &HashMap::new(), None, &version);
            batch.map_err(|error| malformed(&format!("a batch does not fit its schema ({error})")))
        })
    }
}

/// What a batch says of its parts: decoding believes it.
fn check_lengths(batch: arrow_ipc::RecordBatch<'_>, schema: &Schema, body: usize) -> Result<(), Problem> {
    let nodes = batch.nodes().ok_or_else(|| malformed("a batch has no columns"))?;
    let rows = batch.length();
    if rows < 0 || nodes.len() != schema.fields().len() {
        return Err(malformed("a batch does not have the columns of its schema"));
    }
    if nodes.iter().any(|node| node.length() != rows || !(0..=rows).contains(&node.null_count())) {
        return Err(malformed("a column does not have the rows of its batch"));
    }
    let inside = |buffer: &arrow_ipc::Buffer| {
        let (offset, length) = (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
        offset.checked_add(length).filter(|end| *end <= body)
    };
    let buffers = batch.buffers().ok_or_else(|| malformed("a batch has no buffers"))?;
    if buffers.iter().all(|buffer| inside(buffer).is_some()) {
        Ok(())
    } else {
        Err(malformed("a buffer is not inside its batch"))
    }
}

impl ArrowBatch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// For each input of the rule, the index of its column.
    pub fn binding(&self) -> &[Option<usize>] {
        &self.layout.binding
    }

    /// Reads the bars, `most` at most; up to what is wrong, if something is.
    pub fn read(&self, limits: &config::Evaluation, most: usize) -> (Bars, Option<Problem>) {
        let mut bars = Bars { rows: self.rows.num_rows().min(most), ..Bars::default() };
        let mut problem = (self.rows.num_rows() > most).then(|| too_many_rows(limits.stream_rows));
        for (field, array) in self.layout.schema.fields().iter().zip(self.rows.columns()) {
            if field.name() == "time" {
                bars.time = Some(times(array));
                continue;
            }
            let (column, bad) = values(field.name(), array);
            bars.columns.push(column);
            if let Some((row, detail)) = bad.filter(|(row, _)| *row < bars.rows) {
                let path = bars.path(&shorten(field.name()), Some(self.first.saturating_add(row)));
                problem = Some(Problem::new(Code::COLUMN_TYPE, detail).at(path));
                bars.rows = row;
            }
        }
        bars.columns.iter_mut().for_each(|column| column.values.truncate(bars.rows));
        bars.time.iter_mut().for_each(|time| time.truncate(bars.rows));
        (bars, problem)
    }
}
