//! Columns of Arrow as columns of bars: exactly, or not at all.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use rulebox_abi::{MISSING, TIME_MISSING};
use rulebox_dsl::time;

use crate::domain::bars::Column;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The row of a value that cannot be taken, and what it is.
pub(super) type BadValue = (usize, String);

/// Whether a column of this type can be an input.
pub(super) const fn is_value(ty: &DataType) -> bool {
    use DataType::{
        Boolean, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Null, UInt8, UInt16, UInt32, UInt64,
    };
    matches!(
        ty,
        Boolean | Float16 | Float32 | Float64 | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Null
    )
}

/// Whether a column of this type can be the times.
pub(super) const fn is_time(ty: &DataType) -> bool {
    use DataType::{
        Date32, Date64, Int8, Int16, Int32, Int64, LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, Utf8,
    };
    matches!(
        ty,
        Timestamp(..)
            | Date32
            | Date64
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | Utf8
            | LargeUtf8
            | Null
    )
}

/// Reads values up to the first that cannot be taken.
pub(super) fn values(name: &str, array: &ArrayRef) -> (Column, Option<BadValue>) {
    let (values, bad) = match array.data_type() {
        DataType::Boolean => return (truths(name, array), None),
        DataType::Float64 if array.null_count() == 0 => (doubles(array), None),
        DataType::Float64 => numbers::<Float64Type>(array, Some),
        DataType::Float32 => numbers::<Float32Type>(array, |value| Some(f64::from(value))),
        DataType::Float16 => numbers::<Float16Type>(array, |value| Some(f64::from(value))),
        DataType::Int8 => numbers::<Int8Type>(array, |value| Some(f64::from(value))),
        DataType::Int16 => numbers::<Int16Type>(array, |value| Some(f64::from(value))),
        DataType::Int32 => numbers::<Int32Type>(array, |value| Some(f64::from(value))),
        DataType::Int64 => numbers::<Int64Type>(array, |value| exact(value.into())),
        DataType::UInt8 => numbers::<UInt8Type>(array, |value| Some(f64::from(value))),
        DataType::UInt16 => numbers::<UInt16Type>(array, |value| Some(f64::from(value))),
        DataType::UInt32 => numbers::<UInt32Type>(array, |value| Some(f64::from(value))),
        DataType::UInt64 => numbers::<UInt64Type>(array, |value| exact(value.into())),
        // A column of nulls; the schema let no other through.
        _ => (vec![MISSING; array.len()], None),
    };
    (Column { name: name.to_owned(), values, first_bool: None }, bad)
}

/// The double that is this number, if there is one.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "compared with what it came from")]
fn exact(value: i128) -> Option<f64> {
    let double = value as f64;
    (double as i128 == value).then_some(double)
}

/// What most send, all at once.
fn doubles(array: &ArrayRef) -> Vec<f64> {
    array.as_primitive::<Float64Type>().values().iter().map(|&value| one_missing(value)).collect()
}

/// One NaN means missing, whichever was sent. An infinity is a number of no rule: the bar is a fault.
const fn one_missing(value: f64) -> f64 {
    if value.is_nan() { MISSING } else { value }
}

fn numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    convert: impl Fn(T::Native) -> Option<f64>,
) -> (Vec<f64>, Option<BadValue>) {
    let array = array.as_primitive::<T>();
    let mut values = Vec::with_capacity(array.len());
    for (row, value) in array.iter().enumerate() {
        let Some(value) = value else {
            values.push(MISSING);
            continue;
        };
        let Some(number) = convert(value) else {
            let detail = format!("{value:?} is no double; send numbers that large as float64");
            return (values, Some((row, detail)));
        };
        values.push(one_missing(number));
    }
    (values, None)
}

fn truths(name: &str, array: &ArrayRef) -> Column {
    let mut column = Column { name: name.to_owned(), ..Column::default() };
    for value in array.as_boolean() {
        match value {
            Some(value) => column.push_bool(value),
            None => column.push_missing(),
        }
    }
    column
}

/// Milliseconds since 1970 of each row; what cannot be read is missing, as it is in JSON.
pub(super) fn times(array: &ArrayRef) -> Vec<i64> {
    let text = |text: Option<&str>| text.and_then(time::parse).unwrap_or(TIME_MISSING);
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            millis::<TimestampSecondType>(array, |value| value.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => millis::<TimestampMillisecondType>(array, Some),
        // Digits beyond the millisecond are dropped, before 1970 as well.
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            millis::<TimestampMicrosecondType>(array, |value| Some(value.div_euclid(1_000)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            millis::<TimestampNanosecondType>(array, |value| Some(value.div_euclid(1_000_000)))
        }
        DataType::Date32 => millis::<Date32Type>(array, |days| i64::from(days).checked_mul(DAY)),
        DataType::Date64 => millis::<Date64Type>(array, Some),
        DataType::Int8 => millis::<Int8Type>(array, |value| Some(value.into())),
        DataType::Int16 => millis::<Int16Type>(array, |value| Some(value.into())),
        DataType::Int32 => millis::<Int32Type>(array, |value| Some(value.into())),
        DataType::Int64 => millis::<Int64Type>(array, Some),
        DataType::UInt8 => millis::<UInt8Type>(array, |value| Some(value.into())),
        DataType::UInt16 => millis::<UInt16Type>(array, |value| Some(value.into())),
        DataType::UInt32 => millis::<UInt32Type>(array, |value| Some(value.into())),
        DataType::Utf8 => array.as_string::<i32>().iter().map(text).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(text).collect(),
        _ => vec![TIME_MISSING; array.len()],
    }
}

fn millis<T: ArrowPrimitiveType>(array: &ArrayRef, convert: impl Fn(T::Native) -> Option<i64>) -> Vec<i64> {
    let read = |value: Option<T::Native>| value.and_then(&convert).and_then(time::from_millis).unwrap_or(TIME_MISSING);
    array.as_primitive::<T>().iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        BooleanArray, Date32Array, Float32Array, Float64Array, Int64Array, NullArray, StringArray,
        TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    };

    use super::*;

    fn bits(array: impl Array + 'static) -> (Vec<u64>, Option<usize>) {
        let (column, bad) = values("x", &(Arc::new(array) as ArrayRef));
        (column.values.iter().map(|value| value.to_bits()).collect(), bad.map(|(row, _)| row))
    }

    #[test]
    fn numbers_are_taken_exactly_or_refused() {
        let nan = f64::from_bits(0x7ff8_0000_dead_beef);
        let floats = Float64Array::from(vec![Some(0.1), None, Some(nan), Some(f64::INFINITY), Some(-0.0)]);
        let expected = [0.1, MISSING, MISSING, f64::INFINITY, -0.0].map(f64::to_bits);
        assert_eq!(bits(floats), (expected.to_vec(), None));
        let whole = Float64Array::from(vec![0.1, nan, f64::INFINITY, -0.0]);
        assert_eq!(bits(whole).0, [0.1, MISSING, f64::INFINITY, -0.0].map(f64::to_bits));
        assert_eq!(bits(Float32Array::from(vec![0.1])).0, [f64::from(0.1_f32).to_bits()]);
        let large = 1_i64 << 53;
        let (values, bad) = bits(Int64Array::from(vec![large, -large, i64::MIN, large + 2, large + 1, 0]));
        assert_eq!((values.len(), bad), (4, Some(4)));
        assert_eq!(bits(UInt64Array::from(vec![1 << 63, u64::MAX])).1, Some(1));
        assert_eq!(bits(NullArray::new(3)).0, [MISSING.to_bits(); 3]);
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)]));
        let (column, _) = super::values("x", &truths);
        assert_eq!((column.first_bool, column.values[1].to_bits()), (Some(1), 1.0_f64.to_bits()));
    }

    #[test]
    fn times_of_any_unit_are_milliseconds() {
        let of = |array: ArrayRef| times(&array);
        assert_eq!(of(Arc::new(TimestampSecondArray::from(vec![Some(-1), None]))), [-1_000, TIME_MISSING]);
        assert_eq!(of(Arc::new(TimestampSecondArray::from(vec![i64::MAX]))), [TIME_MISSING]);
        assert_eq!(of(Arc::new(TimestampMicrosecondArray::from(vec![1_999, -1]))), [1, -1]);
        let zoned = TimestampNanosecondArray::from(vec![1_767_625_200_000_999_999]).with_timezone("America/New_York");
        assert_eq!(of(Arc::new(zoned)), [1_767_625_200_000]);
        assert_eq!(of(Arc::new(Date32Array::from(vec![1]))), [DAY]);
        assert_eq!(of(Arc::new(Int64Array::from(vec![5, i64::MAX]))), [5, TIME_MISSING]);
        let text = StringArray::from(vec!["2026-01-05T15:00Z", "soon"]);
        assert_eq!(of(Arc::new(text)), [1_767_625_200_000, TIME_MISSING]);
    }
}
