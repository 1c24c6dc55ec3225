//! Expressions of workflows, `${{ … }}`, as far as these workflows use them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What expressions are about.
#[derive(Debug, Default)]
pub struct Context {
    /// `vars.URL`, `secrets.SMOKE_KEY`, `github.token` and so on. What of `vars` and `secrets` is not there is empty.
    pub names: BTreeMap<String, String>,
    /// Of the steps that have an id: outcome and outputs.
    pub steps: BTreeMap<String, Step>,
    /// Whether a step has failed.
    pub failure: bool,
    /// Whether somebody has cancelled the run.
    pub cancelled: bool,
}

/// What has become of a step.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// `success`, `failure`, `cancelled` or `skipped`.
    pub outcome: String,
    /// What it has written to `GITHUB_OUTPUT`.
    pub outputs: BTreeMap<String, String>,
}

impl Context {
    /// A text with the values of the expressions in it.
    pub fn fill(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once("${{") else { return text.to_owned() };
        let (expression, after) = rest.split_once("}}").unwrap();
        format!("{before}{}{}", self.value(expression), self.fill(after))
    }

    /// Whether a step runs: without a word on the status, if all before it succeeded.
    pub fn runs(&self, condition: Option<&str>) -> bool {
        let condition =
            condition.map_or("success()", |text| text.trim_start_matches("${{").trim_end_matches("}}").trim());
        let of_status = ["success()", "failure()", "cancelled()", "always()"];
        let all_well = !self.failure && !self.cancelled;
        (all_well || of_status.iter().any(|word| condition.contains(word))) && is_true(&self.value(condition))
    }

    fn value(&self, expression: &str) -> String {
        let mut rest = expression.trim();
        let value = self.either(&mut rest);
        assert_eq!(rest, "", "what is left of {expression:?}");
        value
    }

    fn either(&self, rest: &mut &str) -> String {
        let mut value = self.both(rest);
        while take(rest, "||") {
            let other = self.both(rest);
            value = if is_true(&value) { value } else { other };
        }
        value
    }

    fn both(&self, rest: &mut &str) -> String {
        let mut value = self.compared(rest);
        while take(rest, "&&") {
            let other = self.compared(rest);
            value = if is_true(&value) { other } else { value };
        }
        value
    }

    fn compared(&self, rest: &mut &str) -> String {
        let value = self.one(rest);
        if take(rest, "==") {
            return (value == self.one(rest)).to_string();
        }
        if take(rest, "!=") {
            return (value != self.one(rest)).to_string();
        }
        value
    }

    fn one(&self, rest: &mut &str) -> String {
        if take(rest, "!") {
            return (!is_true(&self.one(rest))).to_string();
        }
        if take(rest, "(") {
            let value = self.either(rest);
            assert!(take(rest, ")"), "{rest}");
            return value;
        }
        if take(rest, "'") {
            let (text, after) = rest.split_once('\'').unwrap();
            *rest = after.trim_start();
            return text.to_owned();
        }
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && !"._-*".contains(letter)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        *rest = after.trim_start();
        if !take(rest, "(") {
            return self.name(name);
        }
        if name == "toJSON" {
            assert!(take(rest, "steps)"), "{rest}");
            return self.steps_as_json();
        }
        let mut arguments = Vec::new();
        while !take(rest, ")") {
            arguments.push(self.either(rest));
            take(rest, ",");
        }
        match name {
            "success" => (!self.failure && !self.cancelled).to_string(),
            "failure" => (self.failure && !self.cancelled).to_string(),
            "cancelled" => self.cancelled.to_string(),
            "always" => "true".to_owned(),
            // Of a list, as names have one here: its words with commas.
            "contains" => arguments[0].split(',').any(|one| one == arguments[1]).to_string(),
            "format" => arguments[0].replace("{0}", &arguments[1]),
            _ => panic!("there is no {name}()"),
        }
    }

    fn name(&self, name: &str) -> String {
        if let Some(value) = self.names.get(name) {
            return value.clone();
        }
        let parts: Vec<_> = name.split('.').collect();
        match parts[..] {
            ["steps", id, "outcome"] => self.step(id).outcome.clone(),
            ["steps", id, "outputs", output] => self.step(id).outputs.get(output).cloned().unwrap_or_default(),
            ["job", "status"] if self.cancelled => "cancelled".to_owned(),
            ["job", "status"] if self.failure => "failure".to_owned(),
            ["job", "status"] => "success".to_owned(),
            ["vars" | "secrets", _] => String::new(),
            _ => panic!("there is no {name}"),
        }
    }

    fn step(&self, id: &str) -> &Step {
        self.steps.get(id).unwrap_or_else(|| panic!("there was no step {id} yet"))
    }

    fn steps_as_json(&self) -> String {
        let of = |step: &Step| json!({"outcome": step.outcome, "conclusion": step.outcome, "outputs": step.outputs});
        Value::Object(self.steps.iter().map(|(id, step)| (id.clone(), of(step))).collect()).to_string()
    }
}

fn is_true(value: &str) -> bool {
    !["", "false"].contains(&value)
}

/// Takes a token off the beginning, if it is there.
fn take(rest: &mut &str, token: &str) -> bool {
    let after = rest.strip_prefix(token);
    // `!=` is no negation.
    if token == "!" && rest.starts_with("!=") {
        return false;
    }
    if let Some(after) = after {
        *rest = if token == "'" { after } else { after.trim_start() };
    }
    after.is_some()
}

#[test]
fn expressions_say_what_github_says() {
    let mut context = Context::default();
    context.names.insert("vars.URL".to_owned(), "https://a".to_owned());
    context.steps.insert("start".to_owned(), Step { outcome: "success".to_owned(), ..Step::default() });
    context.steps.insert("promote".to_owned(), Step { outcome: "skipped".to_owned(), ..Step::default() });
    assert_eq!(
        context.fill("${{ vars.URL || 'b' }}, ${{ vars.OTHER || format('c-{0}', vars.URL) }}"),
        "https://a, c-https://a"
    );
    let aborts =
        "${{ (failure() || cancelled()) && steps.start.outcome != 'skipped' && steps.promote.outcome != 'success' }}";
    assert!(context.runs(None) && !context.runs(Some(aborts)) && context.runs(Some("${{ !cancelled() }}")));
    context.failure = true;
    assert!(!context.runs(None) && context.runs(Some(aborts)) && context.runs(Some("always()")));
    assert!(
        !context.runs(Some("${{ steps.start.outcome == 'success' }}")),
        "a condition without a status needs success"
    );
    context.cancelled = true;
    assert!(context.runs(Some(aborts)) && !context.runs(Some("${{ !cancelled() }}")));
}
