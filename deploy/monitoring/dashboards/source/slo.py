"""Is the objective kept, how fast is its budget used, and where does the time go?"""

from panels import OF, at_least, board, graph, number, query, rows, steps

QUANTILES = "histogram_quantile({q}, sum by (le) (rate(rulebox_evaluation_duration_seconds_bucket{{mode=\"bar\", {of}}}[$__rate_interval])))"
BUDGET = "(1 - service:rulebox_evaluation_objective:ratio)"


def burn(window):
    # Without a label of its own each window would be the same line.
    return query(f"service:rulebox_evaluations_slow:ratio_rate{window} / {BUDGET}", window)


def made():
    objective = [
        number("Objective", "Of single evaluations, answered within 50 ms from the read request to the results. "
               "The alerts of the burn go by it.", "percentunit", "service:rulebox_evaluation_objective:ratio", decimals=1),
        number("Kept, 30 days", "Single evaluations within 50 ms over 30 days. Normal: above 99.9 %.", "percentunit",
               "1 - service:rulebox_evaluations_slow:ratio_rate30d", runbook="latency-burn",
               thresholds=at_least(0.999, 0.9995), decimals=3),
        number("Error budget left, 30 days", "Of the slow evaluations that 30 days may have. Normal: more than is left of "
               "the 30 days. Below a quarter, changes wait.", "percentunit", "service:rulebox_error_budget_left:ratio",
               runbook="latency-burn", thresholds=at_least(0, 0.25), decimals=1),
        number("Burn, 1 hour", "1 uses the budget up in just 30 days. Pages at 14.4.", "none",
               f"service:rulebox_evaluations_slow:ratio_rate1h / {BUDGET}", runbook="latency-burn",
               thresholds=steps(6, 14.4), decimals=2),
        number("Single evaluations", "In the last five minutes.", "reqps", "service:rulebox_evaluations:rate5m", decimals=1),
        number("Requests that fail", "Answers of the kind 5xx in the last five minutes. Normal: none. Pages at 1 %.",
               "percentunit", "service:http_server_requests_failed:ratio_rate5m", runbook="server-errors",
               thresholds=steps(0.001, 0.01), decimals=2),
    ]
    speed = [
        graph("Burn of the budget", "How many times faster than evenly over 30 days the budget is used. Pages if 1 hour and "
              "5 minutes are above 14.4; warns if 6 hours and 30 minutes are above 6.", "none",
              burn("5m"), burn("30m"), burn("1h"), burn("6h"), runbook="latency-burn", lines=steps(6, 14.4)),
        graph("Budget left", "At the end of 30 days it may be 0, and not before.", "percentunit",
              query("service:rulebox_error_budget_left:ratio", "left"), runbook="latency-burn"),
    ]
    time = [
        graph("Single evaluations", "Normal: the 99th of 100 below 50 ms.", "s",
              *(query(QUANTILES.format(q=q, of=OF), name) for q, name in [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]),
              runbook="latency-burn", lines=steps(0.025, 0.05)),
        graph("99th percentile by mode", "Columns and streams take as long as they have bars: their objective is their own.",
              "s", query(f"histogram_quantile(0.99, sum by (le, mode) (rate(rulebox_evaluation_duration_seconds_bucket{{{OF}}}"
                         "[$__rate_interval])))", "{{mode}}")),
        graph("Single evaluations by time taken", "How many end within this time, and what is beyond 50 ms.", "reqps",
              query(f"sum by (le) (rate(rulebox_evaluation_duration_seconds_bucket{{mode=\"bar\", "
                    f"le=~\"0.005|0.01|0.025|0.05|\\\\+Inf\", {OF}}}[$__rate_interval]))", "within {{le}} s")),
        graph("Waiting for a thread", "Requests that were read and do not run yet. Normal: 0, with short peaks.", "short",
              query(f"sum by (component) (rulebox_evaluation_queue_depth{{{OF}}})", "{{component}}"), runbook="latency-burn"),
    ]
    failing = [
        graph("Answers by status", "4xx is what callers did; 5xx is ours.", "reqps",
              query(f"sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{{{OF}}}"
                    "[$__rate_interval]))", "{{http_response_status_code}}"), runbook="server-errors", stacked=True),
        graph("Failing requests", "Part of the answers that are 5xx. Pages at 1 % for two minutes.", "percentunit",
              query("service:http_server_requests_failed:ratio_rate5m", "5xx"), runbook="server-errors",
              lines=steps(0.001, 0.01)),
        graph("Refused for want of room", "503 by what there was no room in. Normal: none; more processes, or larger limits.",
              "reqps", query(f"sum by (reason) (rate(rulebox_requests_refused_total{{{OF}}}[$__rate_interval]))", "{{reason}}"),
              runbook="server-errors"),
        rows("Failing now", "Routes with answers of the kind 5xx in the time shown.", "short",
             "topk(10, sum by (http_route, http_response_status_code) (increase(http_server_request_duration_seconds_count"
             f"{{http_response_status_code=~\"5..\", {OF}}}[$__range])) > 0)", runbook="server-errors"),
    ]
    return board("slo", "Objective", "99.9 % of single evaluations within 50 ms over 30 days, and requests that fail.", parts=[
        ("Is the objective kept?", objective),
        ("How fast is the budget used?", speed),
        ("Where does the time go?", time),
        ("Do requests fail?", failing),
    ])
