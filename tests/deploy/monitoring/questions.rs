//! Every question of every board has an answer, once everything has happened; and every metric is on a board.

use std::collections::BTreeSet;

use rulebox_tests::servers::prometheus::Prometheus;

use super::boards::{Asked, asked, board};
use super::load::{self, until};
use super::site::Site;
use super::{BOARDS, RULES};
use crate::read;

/// Questions without an answer here, by a part of them, and why.
const UNANSWERED: [(&str, &str); 1] =
    [("rulebox_memory_limit_bytes", "the process has a limit in a control group of its own alone")];

/// Metrics of the service that are on no board, and why.
const ELSEWHERE: [(&str, &str); 0] = [];

/// What the service may have besides what it has here.
const NOT_ALWAYS: [&str; 1] = ["rulebox_memory_limit_bytes"];

/// With values in the place of variables, as Grafana puts them there when all is chosen.
fn substituted(expression: &str) -> String {
    let variables = [
        ("$__rate_interval", "1m"),
        ("$__range_s", "600"),
        ("$__range", "10m"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$tenant", ".+"),
    ];
    let made = variables.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!made.contains('$'), "an unknown variable: {made}");
    made
}

/// Why a question has no answer.
fn lacks(prometheus: &Prometheus, asked: &Asked) -> Option<String> {
    let expression = substituted(&asked.expression);
    let fault = |why: &str| Some(format!("{}: {expression}: {why}", asked.place));
    if let Some(inner) = expression.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
        let (series, label) = inner.rsplit_once(", ").unwrap();
        let values = prometheus.ask(&format!("label/{label}/values"), &[("match[]", series)]);
        return match values {
            Ok(values) if values.as_array().is_some_and(|values| !values.is_empty()) => None,
            Ok(_) => fault("no values"),
            Err(why) => fault(&why),
        };
    }
    match prometheus.numbers(&expression) {
        Ok(numbers) if !numbers.is_empty() => None,
        Ok(_) => fault("no data"),
        Err(why) => fault(&why),
    }
}

/// Names in expressions that may be those of metrics.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.contains('_')).map(str::to_owned).collect()
}

/// The metric that a series is of.
fn family(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Metrics of the service that nobody looks at.
fn unseen(metrics: &str, boards: &[Asked]) -> Vec<String> {
    let seen: BTreeSet<_> = boards.iter().flat_map(|asked| names(&asked.expression)).collect();
    // What boards see by what is recorded.
    let rules: String = RULES.iter().map(|name| read(&format!("deploy/monitoring/{name}.yaml"))).collect();
    let recorded = rules.split("- record: ").skip(1).filter_map(|rule| {
        let (name, rest) = rule.split_once('\n')?;
        Some((name.to_owned(), names(rest.split("\n      - ").next()?)))
    });
    let mut seen_so: BTreeSet<String> = seen.iter().map(|name| family(name).to_owned()).collect();
    for (name, of) in recorded {
        if seen.contains(&name) {
            seen_so.extend(of.iter().map(|name| family(name).to_owned()));
        }
    }
    let exposed = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let exposed: BTreeSet<_> = exposed.chain(NOT_ALWAYS).collect();
    assert!(exposed.len() > 40, "{exposed:?}");
    let excused = |name: &str| ELSEWHERE.iter().any(|(excused, _)| *excused == name);
    exposed.into_iter().filter(|name| !seen_so.contains(*name) && !excused(name)).map(str::to_owned).collect()
}

#[test]
fn every_question_of_every_board_has_an_answer() {
    let mut site = Site::start();
    let requests = load::run(&mut site);
    let prometheus = &site.prometheus;
    let boards: Vec<_> = BOARDS.iter().flat_map(|name| asked(&board(name))).collect();

    // What is recorded of what is recorded takes some evaluations: as soon as all are there, all are there.
    let excused = |asked: &Asked| UNANSWERED.iter().find(|(part, _)| asked.expression.contains(part));
    let (excepted, asked): (Vec<&Asked>, Vec<&Asked>) = boards.iter().partition(|asked| excused(asked).is_some());
    until("Prometheus has evaluated all rules", || {
        prometheus.numbers("service:rulebox_error_budget_left:ratio").is_ok_and(|numbers| !numbers.is_empty())
    });
    let faults: Vec<_> = asked.iter().filter_map(|asked| lacks(prometheus, asked)).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), asked.len(), faults.join("\n"));

    // Exceptions are understood, and of metrics that there are.
    let telemetry = read("executor/src/telemetry/metrics.rs");
    for asked in &excepted {
        assert!(prometheus.numbers(&substituted(&asked.expression)).is_ok(), "{asked:?}");
        let (part, _) = excused(asked).unwrap();
        assert!(telemetry.contains(&format!("\"{part}\"")), "there is no {part}");
    }
    println!(
        "{} boards, {} questions: {} with data after {requests} requests, {} without: {UNANSWERED:?}",
        BOARDS.len(),
        boards.len(),
        asked.len(),
        excepted.len()
    );
    let metrics = site.metrics();
    assert_eq!(unseen(&metrics, &boards), Vec::<String>::new(), "on no board");
    println!("{} metrics of the service are on boards", metrics.matches("# TYPE ").count());

    // A wrong name, a wrong label, a wrong word, and a metric that no board shows.
    for (from, to, says) in [
        ("rulebox_bars_evaluated_total", "rulebox_bars_total", "no data"),
        ("mode=\"bar\"", "mode=\"bars\"", "no data"),
        ("histogram_quantile(", "histogram_quantiles(", "unknown function"),
        ("label_values(rulebox_build_info, job)", "label_values(rulebox_build, job)", "no values"),
    ] {
        let mut wrong = boards.iter().find(|asked| asked.expression.contains(from)).unwrap().clone();
        wrong.expression = wrong.expression.replace(from, to);
        assert!(lacks(prometheus, &wrong).is_some_and(|why| why.contains(says)), "{wrong:?} is not found");
    }
    let without: Vec<_> = boards.iter().filter(|one| !one.expression.contains("process_threads")).cloned().collect();
    assert_eq!(unseen(&metrics, &without), ["process_threads"]);
}
