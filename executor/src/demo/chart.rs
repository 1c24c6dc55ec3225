//! An account's equity and drawdown as text, 80 columns wide, readable without colours.

/// Columns of the plot itself.
pub(super) const WIDTH: usize = 66;
/// Rows of the equity, each of eight steps.
const EQUITY_ROWS: usize = 9;
/// Rows of the drawdown, each of two steps.
const DRAWDOWN_ROWS: usize = 4;
/// Columns of the labels on the left, the axis not counted.
pub(super) const LABEL: usize = 11;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The bars that column `column` stands for.
pub(super) fn bars_of(column: usize, bars: usize) -> std::ops::Range<usize> {
    let start = column * bars / WIDTH;
    start..((column + 1) * bars / WIDTH).max(start + 1).min(bars.max(start))
}

/// A value a column: `of` folds the bars that it stands for.
fn columns(values: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..WIDTH).map(|column| of(values.get(bars_of(column, values.len())).unwrap_or_default())).collect()
}

fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(0.0)
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Steps that a value fills, of `rows` rows with `steps` each.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number from 0 up")]
fn level(fraction: f64, rows: usize, steps: u32) -> usize {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    (fraction.clamp(0.0, 1.0) * f64::from(rows * steps)).round() as usize
}

/// A number with its thousands apart: `104,230`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// The lines of the equity's chart, from above.
pub(super) fn equity(values: &[f64]) -> Vec<String> {
    let columns = columns(values, last);
    let top = columns.iter().copied().fold(f64::MIN, f64::max);
    let bottom = columns.iter().copied().fold(f64::MAX, f64::min);
    // A little room below, so that the lowest column can be seen.
    let floor = bottom - (top - bottom) * 0.05;
    let filled: Vec<usize> =
        columns.iter().map(|v| level((v - floor) / (top - floor).max(f64::MIN_POSITIVE), EQUITY_ROWS, 8)).collect();
    let rows = (0..EQUITY_ROWS).rev().map(|row| {
        let cells = filled.iter().map(|level| BLOCKS.get(level.saturating_sub(row * 8).min(8)).copied().unwrap_or(' '));
        let label = match row {
            _ if row == EQUITY_ROWS - 1 => thousands(top),
            0 => thousands(bottom),
            _ => String::new(),
        };
        format!("{label:>LABEL$} │{}", cells.collect::<String>().trim_end())
    });
    rows.collect()
}

/// The lines of the drawdown's chart, hanging from the equity's.
pub(super) fn drawdown(values: &[f64]) -> Vec<String> {
    let columns = columns(values, highest);
    let deepest = highest(&columns);
    let filled: Vec<usize> =
        columns.iter().map(|v| level(v / deepest.max(f64::MIN_POSITIVE), DRAWDOWN_ROWS, 2)).collect();
    let rows = (0..DRAWDOWN_ROWS).map(|row| {
        let cells = filled.iter().map(|level| match level.saturating_sub(row * 2) {
            0 => ' ',
            1 => '▀',
            _ => '█',
        });
        let label = match row {
            0 => "drawdown".to_owned(),
            _ if row == DRAWDOWN_ROWS - 1 => format!("-{:.1}%", deepest * 100.0),
            _ => String::new(),
        };
        format!("{label:>LABEL$} │{}", cells.collect::<String>().trim_end())
    });
    rows.collect()
}

/// One letter a column for the worst verdict of its bars: `F` fault, `B` breach, `w` warn, `·` ok.
pub(super) fn marks(verdicts: &[String]) -> String {
    let severity = |verdict: &str| match verdict {
        "fault" => 3,
        "breach" => 2,
        "warn" => 1,
        _ => 0,
    };
    let worst = |column| {
        let bars = verdicts.get(bars_of(column, verdicts.len())).unwrap_or_default();
        bars.iter().map(|verdict| severity(verdict)).max().unwrap_or(0)
    };
    (0..WIDTH).map(|column| ['·', 'w', 'B', 'F'].get(worst(column)).copied().unwrap_or('?')).collect()
}

/// The line under the charts: where they begin and end.
pub(super) fn ends(first: &str, last: &str) -> String {
    let between = WIDTH.saturating_sub(first.len() + last.len());
    format!("{:LABEL$} └{first}{}{last}", "", "─".repeat(between))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_and_a_fall() {
        let wave = (0..330).map(|i| 100_000.0 + 20_000.0 * (f64::from(i) / 40.0).sin() + 100.0 * f64::from(i));
        let equity_values: Vec<f64> = wave.collect();
        let mut peak = 0.0_f64;
        let falls: Vec<f64> = equity_values
            .iter()
            .map(|&e| {
                peak = peak.max(e);
                1.0 - e / peak
            })
            .collect();
        let verdict = |&fall: &f64| {
            if fall > 0.2 {
                "breach"
            } else if fall > 0.1 {
                "warn"
            } else {
                "ok"
            }
        };
        let verdicts: Vec<String> = falls.iter().map(|f| verdict(f).to_owned()).collect();
        let mut lines = equity(&equity_values);
        lines.extend(drawdown(&falls));
        lines.push(ends("2004-08-19", "2013-03-01"));
        lines.push(format!("{:>LABEL$}  {}", "1", marks(&verdicts)));
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn few_bars_and_flat_accounts_have_a_chart_too() {
        for values in [vec![], vec![5.0], vec![5.0; 3], vec![0.0; 100]] {
            assert_eq!(equity(&values).len(), EQUITY_ROWS);
            assert_eq!(drawdown(&values).len(), DRAWDOWN_ROWS);
        }
        assert_eq!(marks(&[]).chars().filter(|&c| c == '·').count(), WIDTH);
        assert_eq!(thousands(-1_234_567.0), "-1,234,567");
        assert_eq!(thousands(999.4), "999");
    }
}
