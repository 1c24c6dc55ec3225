"""Who reaches for more than was given, and does what must hold still hold?"""

from panels import OF, board, graph, number, query, rows, steps


def made():
    now = [
        number("Critical, 24 hours", "Violations that must never happen. Normal: none, ever. The security team is paged.",
               "short", f"sum(increase(rulebox_sandbox_violations_total{{severity=\"critical\", {OF}}}[24h]))",
               runbook="critical-violation", thresholds=steps(0.5, 1), decimals=0),
        number("Open", "Violations that no reviewer has looked at, of the whole service.", "short",
               f"sum(max by (severity) (rulebox_violations_open{{{OF}}}))", runbook="violation-spike", thresholds=steps(1, 50)),
        number("In quarantine", "Modules that are stopped, of the whole service: their evaluations answer 423.", "short",
               f"sum(max by (tenant) (rulebox_rules_quarantined{{{OF}}})) or vector(0)", runbook="rule-quarantined",
               thresholds=steps(1, 10)),
        number("Chains of the audit log broken", "Must be 0.", "short", f"max(rulebox_audit_chains_broken{{{OF}}})",
               runbook="audit-changed", thresholds=steps(0.5, 1)),
        number("Text and module differ", "Modules that said anything else than their text, in 24 hours. Must be 0.", "short",
               f"sum(increase(rulebox_differential_checks_total{{result=\"different\", {OF}}}[24h]))",
               runbook="critical-violation", thresholds=steps(0.5, 1), decimals=0),
        number("First certificate ends in", "Warns at 14 days.", "s",
               f"min(rulebox_certificate_expiry_timestamp_seconds{{{OF}}}) - time()", runbook="certificate-expiry"),
    ]
    reach = [
        graph("Violations by kind", "What modules reached for, and what was forged. Normal: a few, of the kinds of limits, "
              "where tenants upload modules.", "short",
              query(f"sum by (kind) (increase(rulebox_sandbox_violations_total{{{OF}}}[$__rate_interval])) > 0", "{{kind}}"),
              runbook="violation-spike", stacked=True),
        graph("Violations by severity", "Warns above 0.2 a second that are not low.", "ops",
              query(f"sum by (severity) (rate(rulebox_sandbox_violations_total{{{OF}}}[$__rate_interval]))", "{{severity}}"),
              runbook="violation-spike", lines=steps(0.1, 0.2)),
        graph("Open, by severity", "Of the whole service: what reviewers have before them.", "short",
              query(f"max by (severity) (rulebox_violations_open{{{OF}}})", "{{severity}}"), runbook="violation-spike"),
        rows("Tenants with most violations", "In the time shown, by severity.", "short",
             f"topk(10, sum by (tenant, severity) (increase(rulebox_tenant_violations_total{{{OF}}}[$__range])) > 0)",
             runbook="violation-spike"),
    ]
    holds = [
        graph("Tampering", "Cached code without its seal, forged cursors and states, other tenants' things. Must be 0.", "short",
              query("sum by (kind) (increase(rulebox_sandbox_violations_total"
                    f"{{kind=~\"cache_tampered|state_forged|cross_tenant\", {OF}}}[$__rate_interval]))", "{{kind}}"),
              runbook="tampering", lines=steps(0.5, 1)),
        graph("Modules in quarantine", "By tenant, of the whole service.", "short",
              query(f"max by (tenant) (rulebox_rules_quarantined{{{OF}}})", "{{tenant}}"), runbook="rule-quarantined"),
        graph("Cached code refused", "Entries whose seal did not hold, and tries to load that failed.", "short",
              query("sum by (tier, result) (increase(rulebox_module_cache_requests_total"
                    f"{{result=~\"tampered|failed\", {OF}}}[$__rate_interval]))", "{{tier}}, {{result}}"), runbook="tampering"),
        graph("Days until certificates end", "Of executors and of the API. Warns at 14.", "d",
              query(f"(min by (certificate) (rulebox_certificate_expiry_timestamp_seconds{{{OF}}}) - time()) / 86400",
                    "{{certificate}}"), runbook="certificate-expiry"),
    ]
    callers = [
        graph("Refused callers", "401 without a key that holds, 403 without the role, 423 a module in quarantine, 429 over "
              "limits. A jump of 401 is somebody who guesses, or a key that has ended.", "reqps",
              query("sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count"
                    f"{{http_response_status_code=~\"401|403|423|429\", {OF}}}[$__rate_interval]))",
                    "{{http_response_status_code}}"), stacked=True),
        graph("Limits of tenants", "What was refused of requests and of fuel.", "ops",
              query("sum by (policy) (rate(rulebox_ratelimit_decisions_total"
                    f"{{decision=\"refused\", {OF}}}[$__rate_interval]))", "{{policy}}")),
        graph("WebSockets ended by us", "`flood` sends too much, `protocol`, `binary`, `not_text` and `too_large` what it may "
              "not, `revoked` had its key taken away.", "ops",
              query("sum by (reason) (rate(rulebox_ws_disconnects_total"
                    f"{{reason=~\"flood|protocol|binary|not_text|too_large|revoked\", {OF}}}[$__rate_interval]))", "{{reason}}"),
              runbook="disconnect-spike"),
        graph("Alerts pushed to Alertmanager", "Normal: none failed.", "ops",
              query(f"sum by (result) (rate(rulebox_alert_pushes_total{{{OF}}}[$__rate_interval]))", "{{result}}"),
              runbook="dependency-down"),
    ]
    return board("security", "Security", "Violations, quarantine, tampering, and whoever is refused.", parts=[
        ("Is anything wrong now?", now),
        ("Who reaches for more?", reach),
        ("Does what must hold still hold?", holds),
        ("Who is refused?", callers),
    ])
