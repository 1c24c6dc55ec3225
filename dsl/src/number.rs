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

/// The smallest and the largest finite number that are equal to this one: what is between them is, too.
///
/// Away from `b`, the left side of [`equal`] grows by a whole unit in the last place of `a` with each next `a`, and its
/// right side by less than a billionth of that; so there is one number on either side from which on none is equal.
pub fn equal_to(b: f64) -> (f64, f64) {
    (furthest(b, -f64::MAX), furthest(b, f64::MAX))
}

/// The number between two, `equal` and another one, that is the furthest from the first and still equal to it.
fn furthest(equal_one: f64, end: f64) -> f64 {
    if equal(end, equal_one) {
        return end;
    }
    let (mut near, mut far) = (ordered(equal_one), ordered(end));
    while near.abs_diff(far) > 1 {
        let middle = i64::midpoint(near, far);
        *(if equal(unordered(middle), equal_one) { &mut near } else { &mut far }) = middle;
    }
    unordered(near)
}

/// The bits of a number that is not NaN as an integer: in the order of the numbers, -0 right under +0.
const fn ordered(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

const fn unordered(ordered: i64) -> f64 {
    f64::from_bits((if ordered < 0 { ordered ^ i64::MAX } else { ordered }).cast_unsigned())
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
    fn the_numbers_equal_to_one_are_those_between_two() {
        let mut bits = 1_u64;
        let random = (0..2_000).map(|_| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from_bits(bits)
        });
        let known = [0.0, -0.0, 1.0, 0.2, 0.1, 50_000.0, 1e15, 1e-12, 5e-324, 1e300, f64::MAX, f64::MIN];
        for b in known.into_iter().flat_map(|b| [b, -b]).chain(random.filter(|b| b.is_finite())) {
            let (low, high) = equal_to(b);
            assert!(low <= b && b <= high, "{b:e}");
            for near in -40..=40 {
                for (end, inside) in [(low, near >= 0), (high, near <= 0)] {
                    let a = unordered(ordered(end).saturating_add(near));
                    if a.is_finite() {
                        assert_eq!(equal(a, b), inside, "{a:e} and {b:e}, {near} from {end:e}");
                    }
                }
            }
        }
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
