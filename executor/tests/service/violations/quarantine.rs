//! Modules that stop themselves, and are let go.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{list, run, tight};

#[tokio::test]
async fn the_fifth_violation_stops_the_module_before_its_answer() {
    let (server, admin, security) = tight(5).await;
    for _ in 0..5 {
        run(&server).await.problem(422, "sandbox_violation");
    }
    run(&server).await.problem(423, "rule_quarantined");
    // Under another name it is the same module.
    let source = json!({"name": "renamed", "source": crate::harness::DRAWDOWN});
    server.post("/v1/rules", &source).await.ok();
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post("/v1/rules/renamed/evaluate", &bar).await.problem(423, "rule_quarantined");
    let found = list(&server, &security, "").await;
    assert_eq!((found.len(), &found[0]["count"], &found[0]["severity"]), (1, &json!(5), &json!("high")));
    let of_all = server.get_by(&security, "/v1/quarantines?tenant=default&limit=1").await.ok();
    let [stopped] = of_all["quarantines"].as_array().unwrap().as_slice() else { panic!("{of_all:#}") };
    assert_eq!(
        (&stopped["tenant"], &stopped["rule"], &stopped["version"]),
        (&json!("default"), &json!("drawdown"), &json!(1))
    );
    assert_eq!((&stopped["digest"], &of_all["next"]), (&found[0]["digest"], &json!(null)));
    assert_eq!(server.get("/v1/quarantines").await.ok(), of_all, "its tenant sees it as well");
    server.get_by(&security, "/v1/quarantines?tenant=nobody").await.problem(404, "tenant_not_found");
    server.get("/v1/quarantines?tenant=nobody").await.problem(404, "tenant_not_found");
    server.get("/v1/quarantines?rule=drawdown").await.problem(400, "invalid_query");
    server.get("/v1/quarantines?cursor=none").await.problem(400, "invalid_query");
    let log = server.get("/v1/audit").await.ok().to_string();
    assert!(log.contains("rule.quarantine") && log.contains("5 violations"), "{log}");
    let gauge = format!("rulebox_rules_quarantined{{tenant=\"{}\"}}", tenant_id(&server, &admin).await);
    let open = "rulebox_violations_open{severity=\"high\"}";
    let began = Instant::now();
    while server.metric(&gauge).await != Some(1.0) || server.metric(open).await != Some(1.0) {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let release = server.post_by(&security, "/v1/rules/drawdown/release?tenant=default", &json!({"version": 1})).await;
    assert!(release.ok()["reason"].as_str().unwrap().contains("memory_limit"));
    assert_eq!(server.get("/v1/quarantines").await.ok(), json!({"quarantines": [], "next": null}));
    // Counted anew: it takes five again, and they are another violation.
    for _ in 0..5 {
        run(&server).await.problem(422, "sandbox_violation");
    }
    run(&server).await.problem(423, "rule_quarantined");
    assert_eq!(list(&server, &security, "").await.len(), 2);
}

async fn tenant_id(server: &crate::harness::Server, admin: &str) -> String {
    server.get_by(admin, "/v1/tenants/default").await.ok()["id"].as_str().unwrap().to_owned()
}
