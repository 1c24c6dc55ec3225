//! The past of a series: `x[k]`.

use super::{Binary, Expr, HistoryHome, Lower, Ring};
use super::{and, fold, missing_bits, type_of};
use crate::typed::{History, HistoryId};

/// Histories up to this deep are kept in registers, one a bar.
const REGISTER_DEPTH: u32 = 4;

impl Lower<'_> {
    pub(super) fn history_home(&mut self, history: &History) -> HistoryHome {
        // Filled with the missing value at bar 0, so that a value from before the run needs no test.
        let bits = missing_bits(history.ty.base);
        if history.depth <= REGISTER_DEPTH {
            HistoryHome::Registers((0..history.depth).map(|_| self.state(type_of(history.ty), bits)).collect())
        } else {
            self.position();
            HistoryHome::Ring(self.ring(history.depth, bits))
        }
    }

    /// Byte offset in a ring of the slot of `back` bars ago.
    pub(super) fn slot(&mut self, ring: Ring, back: u32) -> Expr {
        let position = Expr::Get(self.position());
        let at = match back {
            0 => position,
            back => fold::binary(Binary::Sub32, position, Expr::I32(back.wrapping_mul(8).cast_signed())),
        };
        and(at, Expr::I32(ring.mask))
    }

    /// The value of `back` bars ago. A ring's slot is written at the end of the bar, so it still has the value of as
    /// many bars ago as it is long.
    pub(super) fn history(&mut self, id: HistoryId, back: u32) -> Expr {
        let ty = self.rule.histories.get(id.index()).map_or(super::Type::F64, |h| type_of(h.ty));
        match self.histories.get(id.index()).cloned() {
            Some(HistoryHome::Registers(regs)) => {
                regs.get((back as usize).saturating_sub(1)).map_or(Expr::F64(0.0), |r| Expr::Get(*r))
            }
            Some(HistoryHome::Ring(ring)) => {
                Expr::Load { ty, address: Box::new(self.slot(ring, back)), offset: ring.base }
            }
            None => Expr::F64(0.0),
        }
    }
}
