"""Who uses how much, and whose rules fail?"""

from panels import OF, board, chosen, graph, query, rows

TENANT = f'tenant=~"$tenant", {OF}'


def made():
    tenant = chosen("tenant", "Tenant", 'label_values(rulebox_evaluations_total{job=~"$job"}, tenant)', multi=True)
    use = [
        graph("Runs", "A process names 200 tenants, and counts the others as `_other`.", "ops",
              query(f"sum by (tenant) (rate(rulebox_evaluations_total{{{TENANT}}}[$__rate_interval]))", "{{tenant}}"),
              stacked=True),
        graph("Fuel", "Tenants take turns at the threads: one that uses much is late, and others hardly are.", "short",
              query(f"sum by (tenant) (rate(rulebox_fuel_consumed_total{{{TENANT}}}[$__rate_interval]))", "{{tenant}}"),
              runbook="cost", stacked=True),
        rows("Fuel used", "In the time shown, the ten largest.", "short",
             f"topk(10, sum by (tenant) (increase(rulebox_fuel_consumed_total{{{TENANT}}}[$__range])))", runbook="cost"),
        graph("Part of all fuel", "Of the last five minutes, whatever process ran it.", "percentunit",
              query('tenant:rulebox_fuel_consumed:rate5m{tenant=~"$tenant"} / ignoring (tenant) group_left '
                    "sum(tenant:rulebox_fuel_consumed:rate5m)", "{{tenant}}"), runbook="cost", most=1),
    ]
    outcomes = [
        graph("Outcomes", "The most severe verdict of each run. A new version that breaches far more than the one before is "
              "worth a look.", "ops",
              query(f"sum by (outcome) (rate(rulebox_evaluations_total{{{TENANT}}}[$__rate_interval]))", "{{outcome}}"),
              stacked=True),
        graph("Runs by mode", "How a tenant calls: live, by series, or by streams.", "ops",
              query(f"sum by (tenant, mode) (rate(rulebox_evaluations_total{{{TENANT}}}[$__rate_interval]))",
                    "{{tenant}}, {{mode}}")),
        graph("Faults", "Runs that ended in a fault: the rule, or its inputs. Tell the tenant.", "ops",
              query(f"sum by (tenant) (rate(rulebox_rule_faults_total{{{TENANT}}}[$__rate_interval]))", "{{tenant}}")),
        graph("Part of runs that fault", "Normal: none, or steadily few.", "percentunit",
              query(f"sum by (tenant) (rate(rulebox_rule_faults_total{{{TENANT}}}[$__rate_interval])) / "
                    f"sum by (tenant) (rate(rulebox_evaluations_total{{{TENANT}}}[$__rate_interval]))", "{{tenant}}"), most=1),
    ]
    trouble = [
        graph("Violations", "By severity. Five of one module in ten minutes stop it.", "short",
              query(f"sum by (tenant, severity) (increase(rulebox_tenant_violations_total{{{TENANT}}}[$__rate_interval]))",
                    "{{tenant}}, {{severity}}"), runbook="violation-spike"),
        graph("Modules in quarantine", "Of the whole service: their evaluations answer 423.", "short",
              query(f"max by (tenant) (rulebox_rules_quarantined{{{TENANT}}})", "{{tenant}}"), runbook="rule-quarantined"),
        graph("Limits", "All tenants: what was allowed and refused of requests and fuel. Who it was is in the log, by 429.",
              "ops", query(f"sum by (policy, decision) (rate(rulebox_ratelimit_decisions_total{{{OF}}}[$__rate_interval]))",
                           "{{policy}}, {{decision}}")),
        graph("Webhooks", "All tenants: tries to deliver. `dead` was given up: the receiver is away for long.", "ops",
              query(f"sum by (result) (rate(rulebox_webhook_deliveries_total{{{OF}}}[$__rate_interval]))", "{{result}}")),
    ]
    return board("tenants", "Tenants", "Who uses how much, and whose rules fail or reach too far.", variables=[tenant], parts=[
        ("Who uses how much?", use),
        ("What do their rules say?", outcomes),
        ("Who is in trouble?", trouble),
    ])
