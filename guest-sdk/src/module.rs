//! The one static of a module, behind its exports.

use core::cell::UnsafeCell;

use crate::machine::Machine;

/// A machine that the host reaches by address and by exports.
#[derive(Debug)]
#[repr(transparent)]
pub struct Module<M>(UnsafeCell<M>);

// SAFETY: a module has no threads, so nothing is shared between any. Where there are some, it is not `Sync`.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl<M> Sync for Module<M> {}

impl<M: Machine> Module<M> {
    /// A module at rest.
    ///
    /// # Safety
    /// No method of it is called while another one of it runs.
    pub const unsafe fn new(machine: M) -> Self {
        Self(UnsafeCell::new(machine))
    }

    #[expect(clippy::mut_from_ref, reason = "the exports are the only callers")]
    fn machine(&self) -> &mut M {
        // SAFETY: who made it promised that methods do not overlap, and each ends its borrow when it returns: an export
        // calls no other one, and a module imports nothing through which the host could call one meanwhile. The host
        // reads and writes the buffers between calls alone.
        unsafe { &mut *self.0.get() }
    }

    /// `rulebox_init`.
    pub fn init(&self, params: i32) -> i32 {
        self.machine().init(params)
    }

    /// `rulebox_buffer`: -1, which is no address, for more bytes than there are.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "addresses have 32 bits")]
    pub fn buffer(&self, kind: i32, index: i32, bytes: i32) -> i32 {
        match (self.machine().buffer(kind, index), usize::try_from(bytes)) {
            (None, _) => 0,
            (Some(buffer), Ok(bytes)) if bytes <= buffer.len() => buffer.as_mut_ptr().expose_provenance() as i32,
            _ => -1,
        }
    }

    /// `rulebox_reset`.
    pub fn reset(&self) {
        self.machine().reset();
    }

    /// `rulebox_eval`.
    pub fn eval(&self, rows: i32) -> i32 {
        self.machine().eval(rows)
    }

    /// `rulebox_state`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "addresses have 32 bits")]
    pub fn state(&self) -> i64 {
        let state = self.machine().state();
        rulebox_abi::pack(state.as_mut_ptr().expose_provenance() as u32, state.len() as u32) as i64
    }
}
