//! Columns as they cross: little-endian, as they lie in memory.

use rulebox_abi::columns::{InputColumns, TimeColumns};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use super::FrameError;

// Columns are sent as they lie in memory, and the memory of a module is little-endian.
const _: () = assert!(cfg!(target_endian = "little"), "columns cross as they lie in memory");

/// About as many bytes has a batch. More than one is under way at a time, so that neither side waits for the other.
const BATCH_BYTES: usize = 1 << 20;

/// The columns of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct InputBytes<'a> {
    /// Number of bars.
    pub rows: u32,
    /// One column an input, of f64.
    #[serde(borrow)]
    pub inputs: Vec<&'a Bytes>,
    /// Of rules that use time.
    #[serde(borrow)]
    pub time: Option<TimeBytes<'a>>,
}

/// The time columns of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct TimeBytes<'a> {
    /// Of i64.
    #[serde(borrow)]
    pub time: &'a Bytes,
    /// Of i32.
    #[serde(borrow)]
    pub local_day: &'a Bytes,
    /// Of i32.
    #[serde(borrow)]
    pub minute_of_day: &'a Bytes,
    /// Of i32.
    #[serde(borrow)]
    pub weekday: &'a Bytes,
}

/// Bars of a batch: about a mebibyte, and whole calls of `chunk_rows`, so that the results do not depend on it.
pub fn rows_a_batch(input: &InputColumns<'_>, chunk_rows: u32) -> usize {
    let times = if input.time.is_some() { size_of::<i64>() + 3 * size_of::<i32>() } else { 0 };
    let row_bytes = (input.inputs.len() * size_of::<f64>() + times).max(1);
    let chunk = chunk_rows.max(1) as usize;
    (BATCH_BYTES / row_bytes / chunk).max(1) * chunk
}

/// Rows `start .. start + rows` of columns.
pub fn borrowed<'a>(input: &InputColumns<'a>, start: usize, rows: usize) -> InputBytes<'a> {
    fn bytes<T: bytemuck::NoUninit>(column: &[T], start: usize, rows: usize) -> &Bytes {
        Bytes::new(bytemuck::cast_slice(column.get(start..start + rows).unwrap_or_default()))
    }
    InputBytes {
        rows: u32::try_from(rows).unwrap_or(u32::MAX),
        inputs: input.inputs.iter().map(|column| bytes(column, start, rows)).collect(),
        time: input.time.as_ref().map(|time| TimeBytes {
            time: bytes(time.time, start, rows),
            local_day: bytes(time.local_day, start, rows),
            minute_of_day: bytes(time.minute_of_day, start, rows),
            weekday: bytes(time.weekday, start, rows),
        }),
    }
}

/// Columns that have come, where they can be read as numbers.
#[derive(Debug, Default)]
pub struct Owned {
    inputs: Vec<Vec<f64>>,
    time: Option<(Vec<i64>, [Vec<i32>; 3])>,
}

fn numbers<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(bytes: &Bytes, rows: usize) -> Result<Vec<T>, FrameError> {
    if bytes.len() != rows * size_of::<T>() {
        return Err(FrameError::Unasked("a column has another length than its batch"));
    }
    Ok(bytemuck::pod_collect_to_vec(bytes.as_ref()))
}

impl InputBytes<'_> {
    /// The numbers.
    ///
    /// # Errors
    /// If a column is not as long as the batch.
    pub fn numbers(&self) -> Result<Owned, FrameError> {
        let rows = self.rows as usize;
        let inputs = self.inputs.iter().map(|column| numbers(column, rows)).collect::<Result<_, _>>()?;
        let time = match &self.time {
            None => None,
            Some(time) => {
                let days = [time.local_day, time.minute_of_day, time.weekday];
                let [day, minute, weekday] = days.map(|column| numbers(column, rows));
                Some((numbers(time.time, rows)?, [day?, minute?, weekday?]))
            }
        };
        Ok(Owned { inputs, time })
    }
}

impl Owned {
    /// Lends them, `rows` of each.
    pub fn lend<T>(&self, rows: usize, to: impl FnOnce(&InputColumns<'_>) -> T) -> T {
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let time = self.time.as_ref().map(|(time, [local_day, minute_of_day, weekday])| TimeColumns {
            time,
            local_day,
            minute_of_day,
            weekday,
        });
        to(&InputColumns { rows, inputs: &inputs, time })
    }
}
