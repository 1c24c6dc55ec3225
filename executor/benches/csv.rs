//! `rulebox run` over a CSV file of a million bars, as a process, beside a program that only reads the file.
//!
//! `cargo bench --bench csv`. What only reads uses the same libraries: it splits the records, reads the
//! two numbers of each, and keeps them.

#![expect(clippy::unwrap_used, reason = "a bench may panic, and is no library")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use tempfile::NamedTempFile;

const ROWS: u32 = 1_000_000;

fn main() {
    divan::main();
}

/// Time, equity with a slow and a fast wave, and its drawdown, with all the digits that doubles have.
static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut text = String::from("time,equity,drawdown\n");
    for row in 0..ROWS {
        let t = f64::from(row);
        let equity = 100_000.0 + 9_000.0 * (t / 50_000.0).sin() + 500.0 * (t / 77.0).sin();
        let time = 1_700_000_000_000 + 60_000 * i64::from(row);
        writeln!(text, "{time},{equity},{}", 1.0 - equity / 109_500.0).unwrap();
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
});

#[divan::bench(sample_count = 15)]
fn reading_alone(bencher: Bencher) {
    LazyLock::force(&FILE);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let bytes = std::fs::read(FILE.path()).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let mut record = csv::ByteRecord::new();
        let (mut equity, mut drawdown) = (Vec::<f64>::new(), Vec::<f64>::new());
        while reader.read_byte_record(&mut record).unwrap() {
            equity.push(fast_float2::parse(record.get(1).unwrap()).unwrap());
            drawdown.push(fast_float2::parse(record.get(2).unwrap()).unwrap());
        }
        (equity, drawdown)
    });
}

#[divan::bench(args = ["table", "csv", "json"], sample_count = 15)]
fn rulebox_run(bencher: Bencher, format: &str) {
    LazyLock::force(&FILE);
    let rule = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dsl/examples/check_custom_rule.rule");
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rulebox"));
        command.arg("run").arg(&rule).args(["--format", format, "--data"]).arg(FILE.path());
        let status = command.stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
    });
}
