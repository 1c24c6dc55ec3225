//! Arithmetic of the language that is not plain IEEE arithmetic: tolerant comparison, and minimum and maximum.

use crate::typed::CompareOp;

/// Relative tolerance of comparisons, and their absolute tolerance between values smaller than 1.
pub const TOLERANCE: f64 = 1e-12;

/// Whether two finite numbers are equal: `|a - b| <= 1e-12 * max(|a|, |b|, 1)`.
///
/// Computed in that order; `a - b` may overflow to an infinity, which is then rightly greater than the right side.
pub fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

/// A tolerant comparison of finite numbers: `<` is less and not equal, `<=` is less or equal, and so on.
pub fn compare(op: CompareOp, a: f64, b: f64) -> bool {
    match op {
        CompareOp::Lt => a < b && !equal(a, b),
        CompareOp::Le => a < b || equal(a, b),
        CompareOp::Gt => a > b && !equal(a, b),
        CompareOp::Ge => a > b || equal(a, b),
        CompareOp::Eq => equal(a, b),
        CompareOp::Ne => !equal(a, b),
    }
}

/// The smaller of two numbers that are not NaN, -0 under +0: IEEE 754-2019 `minimum`, WebAssembly `f64.min`.
pub fn minimum(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b).is_le() { a } else { b }
}

/// The greater of two numbers that are not NaN, -0 under +0: IEEE 754-2019 `maximum`, WebAssembly `f64.max`.
pub fn maximum(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b).is_ge() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_of_exactly_five_percent_is_five_percent() {
        // As plain doubles 1 - 95/100 is greater than 0.05.
        let loss = 1.0 - 95.0 / 100.0;
        assert!(loss > 0.05);
        assert!(compare(CompareOp::Eq, loss, 0.05));
        assert!(compare(CompareOp::Ge, loss, 0.05));
        assert!(compare(CompareOp::Le, loss, 0.05));
        assert!(!compare(CompareOp::Gt, loss, 0.05));
        assert!(!compare(CompareOp::Lt, loss, 0.05));
        assert!(!compare(CompareOp::Ne, loss, 0.05));
    }

    #[test]
    fn the_tolerance_is_absolute_under_one_and_relative_over_it() {
        assert!(equal(0.0, 1e-12));
        assert!(!equal(0.0, 1.1e-12));
        assert!(equal(1e15, 1e15 + 1000.0));
        assert!(!equal(1e15, 1e15 + 1001.0));
        assert!(equal(-1e15, -1e15 - 1000.0));
        assert!(equal(0.0, -0.0));
        assert!(compare(CompareOp::Lt, 1e15, 1e15 + 1001.0));
        assert!(compare(CompareOp::Gt, 1.0, 0.9999));
    }

    #[test]
    fn comparisons_survive_overflow() {
        assert!(!equal(f64::MAX, f64::MIN));
        assert!(equal(f64::MAX, f64::MAX));
        assert!(compare(CompareOp::Lt, f64::MIN, f64::MAX));
        assert!(compare(CompareOp::Gt, f64::MAX, f64::MIN));
    }

    #[test]
    fn zeros_have_an_order() {
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
            assert!(minimum(a, b).is_sign_negative());
            assert!(maximum(a, b).is_sign_positive());
        }
        assert!(minimum(1.0, 2.0) < 1.5 && minimum(2.0, 1.0) < 1.5 && minimum(-3.0, -2.0) < -2.5);
        assert!(maximum(1.0, 2.0) > 1.5 && maximum(2.0, 1.0) > 1.5 && maximum(-3.0, -2.0) > -2.5);
        assert!(minimum(-0.0, -0.0).is_sign_negative());
        assert!(maximum(0.0, 0.0).is_sign_positive());
    }
}
