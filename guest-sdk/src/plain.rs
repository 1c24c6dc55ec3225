//! What state is made of: words of 8 bytes, all of whose bit patterns are values.

/// A type whose values can be saved as bytes and restored from any.
///
/// [`crate::rule!`] implements it for the state of a rule, whose fields must have it.
///
/// # Safety
/// The type consists of whole 8-byte words without padding, every bit pattern is a value of it, and none of it is an
/// address.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a rule's state",
    note = "state is made of f64, i64, u64, `Flag` (for bool), `Window<N>`, and arrays of those"
)]
pub unsafe trait Plain: Copy + 'static {
    /// All bits 0.
    const ZERO: Self;
}

// SAFETY: 8 bytes, each bit pattern of which is a number.
unsafe impl Plain for f64 {
    const ZERO: Self = 0.0;
}

// SAFETY: as above.
unsafe impl Plain for i64 {
    const ZERO: Self = 0;
}

// SAFETY: as above.
unsafe impl Plain for u64 {
    const ZERO: Self = 0;
}

// SAFETY: an array has no padding of its own.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// A bool as state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Flag(u64);

impl Flag {
    /// False.
    pub const OFF: Self = Self(0);
    /// True.
    pub const ON: Self = Self(1);

    /// The bool.
    pub const fn is_on(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Flag {
    fn from(on: bool) -> Self {
        Self(u64::from(on))
    }
}

// SAFETY: a u64, of which every value but 0 is true.
unsafe impl Plain for Flag {
    const ZERO: Self = Self::OFF;
}

/// The bytes of a value.
pub(crate) const fn bytes_of_mut<T: Plain>(value: &mut T) -> &mut [u8] {
    let length = size_of::<T>();
    // SAFETY: T has no padding, so that each of its bytes can be read, and any bytes are a T. The borrow goes on.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(value).cast(), length) }
}
