//! What a pipeline must never do: run what somebody else can change, hold rights that a job does not need, show secrets to
//! pull requests, deploy what was not verified, or two things at once. Each is a function from workflows to what breaks it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{WORKFLOWS, jobs, steps};
use crate::{changed, read, yaml};

/// The texts of all workflows by their names.
type Texts = BTreeMap<String, String>;

fn texts() -> Texts {
    let name = |path: &str| path.trim_start_matches(".github/workflows/").trim_end_matches(".yml").to_owned();
    WORKFLOWS.iter().map(|path| (name(path), read(path))).collect()
}

/// Shows that a judge has nothing to say of the workflows, and finds each fault: a workflow, what is changed, to what.
fn holds(judge: impl Fn(&Texts) -> Vec<String>, faults: &[(&str, &str, &str)]) {
    assert_eq!(judge(&texts()), Vec::<String>::new());
    for (name, from, to) in faults {
        let mut broken = texts();
        let text = changed(&broken[*name], from, to);
        broken.insert((*name).to_owned(), text);
        assert!(!judge(&broken).is_empty(), "{name}: {to:?} in the place of {from:?} was not found");
    }
}

/// All jobs, by `workflow/job`.
fn all_jobs(texts: &Texts) -> Vec<(String, Value)> {
    let of = |(name, text): (&String, &String)| {
        jobs(&yaml(text)).iter().map(|(job, value)| (format!("{name}/{job}"), value.clone())).collect::<Vec<_>>()
    };
    texts.iter().flat_map(of).collect()
}

/// Actions of others that are not fixed by commit, with their version beside it; or in two versions.
fn loose_actions(texts: &Texts) -> Vec<String> {
    let (mut loose, mut seen) = (Vec::new(), BTreeMap::new());
    for (name, text) in texts {
        for line in text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")) {
            if line.starts_with("./.github/workflows/") {
                continue;
            }
            let (action, version) = line.split_once(" # ").unwrap_or((line, ""));
            let (action, commit) = action.split_once('@').unwrap_or((action, ""));
            let fixed = commit.len() == 40 && commit.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
            let says = version.strip_prefix('v').is_some_and(|rest| rest.split('.').count() == 3);
            let before = seen.entry(action.to_owned()).or_insert_with(|| line.to_owned());
            if !fixed || !says || before != line {
                loose.push(format!("{name}: {line}"));
            }
        }
    }
    loose
}

#[test]
fn actions_of_others_are_fixed_by_commit() {
    let checkout = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";
    holds(
        loose_actions,
        &[
            ("ci", checkout, "actions/checkout@v7"),
            ("deploy", checkout, "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"),
            ("release", checkout, "actions/checkout@9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0 # v7.0.0"),
        ],
    );
}

/// What each job may do beyond reading the repository; all others may do nothing more.
const RIGHTS: [(&str, &[&str]); 9] = [
    ("ci/findings", &["actions: read", "security-events: write"]),
    ("release/passes", &["actions: read", "security-events: write"]),
    ("release/images", &["attestations: write", "id-token: write"]),
    ("release/publish", &["actions: write", "contents: write"]),
    ("deploy/staging", &["attestations: read", "id-token: write"]),
    ("deploy/production", &["attestations: read", "id-token: write"]),
    ("deploy/released", &["contents: write"]),
    ("rescan/tell", &["issues: write"]),
    ("rollback/rollback", &["id-token: write"]),
];

fn rights(texts: &Texts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, text) in texts {
        if yaml(text)["permissions"] != serde_json::json!({}) {
            wrong.push(format!("{name} has rights of its own"));
        }
    }
    for (name, job) in all_jobs(texts) {
        let Some(rights) = job["permissions"].as_object() else {
            wrong.push(format!("{name} does not say its rights"));
            continue;
        };
        let beyond = rights.iter().filter(|(of, what)| (of.as_str(), what.as_str()) != ("contents", Some("read")));
        let mut beyond: Vec<_> = beyond.map(|(of, what)| format!("{of}: {}", what.as_str().unwrap())).collect();
        beyond.sort();
        let may = RIGHTS.iter().find(|(job, _)| *job == name).map_or(&[][..], |(_, may)| may);
        if beyond != may {
            wrong.push(format!("{name} has {beyond:?}, and may have {may:?}"));
        }
        let checks_out =
            |step: &&Value| step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@"));
        for step in steps(&job).iter().filter(checks_out) {
            if step["with"]["persist-credentials"] != false {
                wrong.push(format!("{name} leaves its token in the checkout"));
            }
        }
        let minutes = job["timeout-minutes"].as_u64();
        if job["uses"].is_null() && minutes.is_none_or(|minutes| minutes > 180) {
            wrong.push(format!("{name} may run for {minutes:?} minutes"));
        }
    }
    wrong
}

#[test]
fn jobs_have_the_least_rights_and_an_end() {
    holds(
        rights,
        &[
            ("ci", "permissions: {}", "permissions: {contents: read}"),
            ("ci", "    permissions:\n      contents: read\n", "    permissions:\n      contents: write\n"),
            ("deploy", "contents: write # of the release", "issues: write # of the release"),
            ("rescan", "persist-credentials: false", "persist-credentials: true"),
            ("rollback", "    timeout-minutes: 45\n", ""),
        ],
    );
}

/// Secrets where a pull request could see them, or where anybody's approval of an environment is not asked for.
fn shown_secrets(texts: &Texts) -> Vec<String> {
    let mut shown = Vec::new();
    for (name, text) in texts {
        let on = &yaml(text)["on"];
        let keys: Vec<_> = on.as_object().unwrap().keys().map(String::as_str).collect();
        if ["pull_request_target", "workflow_run", "issue_comment"].iter().any(|event| keys.contains(event)) {
            shown.push(format!("{name} runs on {keys:?}"));
        }
        if keys.contains(&"pull_request") && (text.contains("secrets.") || text.contains("secrets:")) {
            shown.push(format!("{name} has secrets, and runs for pull requests"));
        }
        if text.contains("secrets: inherit") {
            shown.push(format!("{name} gives all its secrets away"));
        }
    }
    for (name, job) in all_jobs(texts) {
        if job.to_string().contains("secrets.") && job["environment"].is_null() {
            shown.push(format!("{name} has secrets, and is of no environment"));
        }
        // In the environment of the one step that needs it.
        for step in steps(&job).iter().filter_map(|step| step["run"].as_str()) {
            if step.contains("${{") {
                shown.push(format!("{name} writes an expression into a script: {step}"));
            }
        }
        if job["env"].to_string().contains("secrets.") {
            shown.push(format!("{name} shows a secret to all its steps"));
        }
    }
    shown
}

#[test]
fn no_secret_is_where_a_pull_request_or_another_step_sees_it() {
    holds(
        shown_secrets,
        &[
            ("ci", "      - name: Format\n", "      - name: Format\n        env: {KEY: \"${{ secrets.KEY }}\"}\n"),
            ("ci", "  pull_request:\n", "  pull_request_target:\n"),
            ("release", "    environment: release\n", ""),
            ("deploy", "      NAMESPACE: ${{ vars.NAMESPACE }}\n", "      KEY: ${{ secrets.SMOKE_KEY }}\n"),
            ("rollback", "\"$REASON\"", "\"${{ inputs.reason }}\""),
        ],
    );
}

/// Jobs that a job needs, and those that they need.
fn behind(workflow: &Value, job: &str) -> Vec<String> {
    let needs = &workflow["jobs"][job]["needs"];
    let own = needs.as_array().map_or_else(
        || needs.as_str().into_iter().collect(),
        |list| list.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>(),
    );
    own.iter().flat_map(|one| [vec![(*one).to_owned()], behind(workflow, one)].concat()).collect()
}

/// The place of the first step of a job whose command has these words.
fn at(job: &Value, words: &str) -> usize {
    steps(job).iter().position(|step| step.to_string().contains(words)).unwrap_or(usize::MAX)
}

fn out_of_order(texts: &Texts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |is: bool, what: &str| {
        if !is {
            wrong.push(what.to_owned());
        }
    };
    let [ci, release, deploy, rollback] = ["ci", "release", "deploy", "rollback"].map(|name| yaml(&texts[name]));
    // What every change must pass.
    let commands = ci["jobs"]["tests"].to_string();
    for part in
        ["TESTS_FULL=1", "TESTS_ADVISORIES=required", "binary(deploy)", "binary(chart) & test(checkov)", ".ci/run"]
    {
        must(commands.contains(part), "the tests are not run in full");
    }
    must(at(&ci["jobs"]["dependencies"], "deploy/ci/advisories") < usize::MAX, "advisories are not asked for");
    must(at(&ci["jobs"]["dependencies"], "scan sources .") < usize::MAX, "lock files are not scanned");
    must(at(&ci["jobs"]["images"], "scan image") < usize::MAX, "images are not scanned");
    must(!texts.values().any(|text| text.contains("continue-on-error")), "a failure counts for nothing");
    // A release: passed, built, scanned, and only then pushed; what was pushed is scanned, and only then signed.
    must(release["jobs"]["passes"]["uses"] == "./.github/workflows/ci.yml", "a release has not passed");
    for (job, needs) in [("images", "passes"), ("publish", "images")] {
        must(release["jobs"][job]["needs"] == needs, "a release skips a stage");
    }
    let images = &release["jobs"]["images"];
    let places = [
        "build-arguments",
        "--load --tag",
        "scan image \\\"$NAME\\\"",
        "docker login",
        "push=true",
        "scan image \\\"$IMAGE@$DIGEST\\\"",
        "deploy/ci/sign ",
        "attest-build-provenance",
    ]
    .map(|words| at(images, words));
    must(places.is_sorted() && places[7] < usize::MAX, "an image is pushed or signed before it was scanned");
    let publish = &release["jobs"]["publish"];
    must(
        at(publish, "gh release create") <= at(publish, "gh workflow run deploy.yml"),
        "deployed before it is published",
    );
    must(publish.to_string().contains("--prerelease"), "it is the latest before it is in production");
    // A deployment: nothing is called before it was verified, in each job by itself.
    for environment in ["staging", "production"] {
        let job = &deploy["jobs"][environment];
        must(job["environment"]["name"] == environment, "a job is not of its environment");
        must(at(job, "deploy/ci/verify ") < at(job, "deploy/ci/rollout "), "deployed before it was verified");
        must(at(job, "deploy/ci/rollout ") < usize::MAX, "nothing is deployed");
        let group = format!("deploy-{environment}");
        must(
            job["concurrency"]["group"] == *group && job["concurrency"]["cancel-in-progress"] == false,
            "deployments overlap",
        );
        must(job["concurrency"]["queue"] == "max", "what waits is thrown out by what comes next");
        let stoppable = steps(job)
            .iter()
            .filter_map(|step| step["run"].as_str())
            .filter(|text| text.contains("deploy/ci/rollout "))
            .all(|text| text.lines().last().unwrap().starts_with("exec deploy/ci/rollout "));
        must(stoppable, "a step does not hear that it is cancelled");
        let guarded = steps(job)
            .iter()
            .filter(|step| !step["if"].is_null())
            .all(|step| step["if"].as_str().unwrap().contains("failure() || cancelled()"));
        must(guarded, "a step is left out where nothing failed");
    }
    must(
        at(&deploy["jobs"]["staging"], "deploy/ci/scan ") < at(&deploy["jobs"]["staging"], "rollout deploy"),
        "not scanned anew",
    );
    must(behind(&deploy, "production") == ["staging"], "production without staging");
    must(behind(&deploy, "released") == ["production", "staging"], "released without production");
    must(deploy["on"].as_object().unwrap().keys().eq(["workflow_dispatch"]), "deployed by another event");
    // By hand: it ends what is under way, and never runs beside it.
    let concurrency = &rollback["jobs"]["rollback"]["concurrency"];
    must(
        concurrency["group"] == "deploy-${{ inputs.environment }}" && concurrency["cancel-in-progress"] == true,
        "overlaps",
    );
    // But no other roll-back: not even one that nobody has approved.
    must(
        rollback["concurrency"]["group"] == "rollback-${{ inputs.environment }}"
            && rollback["concurrency"]["cancel-in-progress"] == false
            && rollback["concurrency"]["queue"] == "max",
        "a roll-back ends another one",
    );
    must(rollback["jobs"]["rollback"]["environment"]["name"] == "${{ inputs.environment }}", "without approval");
    wrong
}

#[test]
fn nothing_is_deployed_that_was_not_scanned_signed_verified_and_approved() {
    holds(
        out_of_order,
        &[
            ("ci", "TESTS_ADVISORIES=required", "TESTS_ADVISORIES=no"),
            ("ci", "run: deploy/ci/advisories", "run: true"),
            ("ci", "    timeout-minutes: 90\n", "    timeout-minutes: 90\n    continue-on-error: true\n"),
            ("release", "    needs: passes\n", ""),
            ("release", "    needs: images\n", ""),
            ("release", "deploy/ci/scan image \"$NAME\"", "true"),
            ("release", "deploy/ci/scan image \"$IMAGE@$DIGEST\"", "true"),
            ("release", "--prerelease ", ""),
            ("deploy", "    needs: staging\n", ""),
            ("deploy", "    needs: production\n", "    needs: staging\n"),
            ("deploy", "digest=$(deploy/ci/verify ", "digest=$(true "),
            ("deploy", "deploy/ci/scan image", "true"),
            ("deploy", "      name: production\n", "      name: staging\n"),
            ("deploy", "      group: deploy-production\n", "      group: deploy-${{ github.run_id }}\n"),
            ("deploy", "  workflow_dispatch:\n", "  workflow_dispatch:\n  pull_request:\n"),
            ("rollback", "      group: deploy-${{ inputs.environment }}\n", "      group: rollback\n"),
            ("deploy", "      queue: max\n", ""),
            ("deploy", "run: exec deploy/ci/rollout canary promote", "run: deploy/ci/rollout canary promote"),
            ("rollback", "cancel-in-progress: true", "cancel-in-progress: false"),
            ("rollback", "  cancel-in-progress: false\n", "  cancel-in-progress: true\n"),
            ("rollback", "  group: rollback-${{ inputs.environment }}\n", "  group: rollback-${{ github.run_id }}\n"),
            ("rollback", "  queue: max\n", ""),
        ],
    );
    println!("workflows: {} jobs in their order", all_jobs(&texts()).len());
}
