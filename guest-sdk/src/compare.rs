//! Comparison and order as the rule language has them.
//!
//! Five percent is five percent whatever the last digit of a double: `1.0 - 95.0 / 100.0 > 0.05` is true in Rust and
//! false in the rule language. Use these where a rule shall say the same in both.

/// Whether two finite numbers are equal: `|a - b| <= 1e-12 * max(|a|, |b|, 1)`.
pub fn equal(a: f64, b: f64) -> bool {
    // Not `f64::max`, which asks for NaNs and is a call.
    let larger = if a.abs() > b.abs() { a.abs() } else { b.abs() };
    let scale = if larger > 1.0 { larger } else { 1.0 };
    (a - b).abs() <= 1e-12 * scale
}

/// `a > b`, and not equal.
pub fn above(a: f64, b: f64) -> bool {
    a > b && !equal(a, b)
}

/// `a < b`, and not equal.
pub fn below(a: f64, b: f64) -> bool {
    above(b, a)
}

/// `a >= b`, or equal.
pub fn at_least(a: f64, b: f64) -> bool {
    a > b || equal(a, b)
}

/// `a <= b`, or equal.
pub fn at_most(a: f64, b: f64) -> bool {
    at_least(b, a)
}

/// The smaller of two numbers that are not NaN; -0 is under 0.
#[expect(clippy::float_cmp, reason = "zeros are what it is about")]
pub fn minimum(a: f64, b: f64) -> f64 {
    if a < b || (a == b && a.is_sign_negative()) { a } else { b }
}

/// The greater of two numbers that are not NaN; 0 is over -0.
#[expect(clippy::float_cmp, reason = "zeros are what it is about")]
pub fn maximum(a: f64, b: f64) -> f64 {
    if a > b || (a == b && a.is_sign_positive()) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_is_five_percent() {
        let lost = 1.0 - 95.0 / 100.0;
        assert!(lost > 0.05 && !above(lost, 0.05) && at_least(lost, 0.05) && at_most(lost, 0.05) && !below(lost, 0.05));
        assert!(below(1e15, 1e15 + 1001.0) && !below(1e15, 1e15 + 1000.0));
        assert!(above(f64::MAX, f64::MIN) && equal(f64::MAX, f64::MAX));
    }

    #[test]
    fn zeros_have_an_order() {
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
            assert!(minimum(a, b).is_sign_negative() && maximum(a, b).is_sign_positive());
        }
        assert!(minimum(2.0, 1.0) < 1.5 && maximum(-3.0, -2.0) > -2.5);
    }
}
