"""Live sessions, WebSockets, streams of bars and of events."""

from panels import OF, board, graph, number, query, steps

STREAMS = 'mode="stream", '


def routes(pattern):
    return ("sum by (http_route, http_response_status_code) (rate(http_server_request_duration_seconds_count"
            f"{{http_route=~\"{pattern}\", {OF}}}[$__rate_interval]))")


def made():
    now = [
        number("WebSockets", "Sessions with a WebSocket.", "short", f"sum(rulebox_sessions_active{{{OF}}})"),
        number("Bars of sessions a second", "By WebSockets and by single calls.", "short",
               f"sum(rate(rulebox_bars_evaluated_total{{mode=\"session\", {OF}}}[$__rate_interval]))", decimals=1),
        number("Bars of streams a second", "Lines of JSON and Arrow.", "short",
               f"sum(rate(rulebox_bars_evaluated_total{{{STREAMS}{OF}}}[$__rate_interval]))", decimals=0),
        number("Ended that nobody closed", "WebSockets a second, but for `closed`, `idle` and `drain`. Warns at 1.", "ops",
               f"sum(rate(rulebox_ws_disconnects_total{{reason!~\"closed|idle|drain\", {OF}}}[5m]))",
               runbook="disconnect-spike", thresholds=steps(0.5, 1), decimals=2),
        number("Streams refused", "In the last hour, because a process had as many as it may. Normal: 0.", "short",
               f"sum(increase(rulebox_requests_refused_total{{reason=\"streams\", {OF}}}[1h]))", runbook="server-errors",
               thresholds=steps(1, 100), decimals=0),
        number("Sessions' store", "1 if Redis answers all processes; without it sessions answer 503.", "short",
               f"min(rulebox_dependency_up{{dependency=\"redis\", {OF}}})", runbook="dependency-down",
               thresholds=steps(1, colours=("green",), base="red")),
    ]
    sockets = [
        graph("WebSockets by process", "In a rolling update they move to the others.", "short",
              query(f"rulebox_sessions_active{{{OF}}}", "{{instance}}"), stacked=True),
        graph("Why WebSockets end", "`drain` is a process that goes, `slow` a client that does not read, `gone` one that "
              "vanished, `lost` a session whose state is lost.", "ops",
              query(f"sum by (reason) (rate(rulebox_ws_disconnects_total{{{OF}}}[$__rate_interval]))", "{{reason}}"),
              runbook="disconnect-spike", lines=steps(0.5, 1)),
        graph("Calls of sessions", "By status: 409 is a gap in `seq`, 410 a lost state, 503 the store.", "reqps",
              query(routes("/v1/sessions.*"), "{{http_route}}, {{http_response_status_code}}")),
        graph("Bars and runs of sessions", "A bar runs each rule of the session.", "ops",
              query(f"sum(rate(rulebox_bars_evaluated_total{{mode=\"session\", {OF}}}[$__rate_interval]))", "bars"),
              query(f"sum(rate(rulebox_evaluations_total{{mode=\"session\", {OF}}}[$__rate_interval]))", "runs")),
    ]
    streams = [
        graph("Bars of streams", "What clients read they get: a slow one is not read from.", "short",
              query(f"sum by (instance) (rate(rulebox_bars_evaluated_total{{{STREAMS}{OF}}}[$__rate_interval]))",
                    "{{instance}}"), stacked=True),
        graph("How streams end", "By the most severe verdict.", "ops",
              query(f"sum by (outcome) (rate(rulebox_evaluations_total{{{STREAMS}{OF}}}[$__rate_interval]))", "{{outcome}}"),
              stacked=True),
        graph("How long streams take", "From their start to their trailer; as long as their clients like.", "s",
              query("histogram_quantile(0.5, sum by (le) (rate(rulebox_evaluation_duration_seconds_bucket"
                    f"{{{STREAMS}{OF}}}[$__rate_interval])))", "p50"),
              query("histogram_quantile(0.99, sum by (le) (rate(rulebox_evaluation_duration_seconds_bucket"
                    f"{{{STREAMS}{OF}}}[$__rate_interval])))", "p99")),
        graph("Refused for want of room", "`streams`: as many as a process, or one tenant in it, may have.", "ops",
              query(f"sum by (reason) (rate(rulebox_requests_refused_total{{{OF}}}[$__rate_interval]))", "{{reason}}"),
              runbook="server-errors"),
    ]
    events = [
        graph("Streams of events", "Violations as they happen. Counted when they end.", "reqps",
              query(routes("/v1/violations/stream|/v1/rules/.name./evaluate"),
                    "{{http_route}}, {{http_response_status_code}}")),
        graph("Requests being answered", "With streams that are open.", "short",
              query(f"http_server_active_requests{{{OF}}}", "{{instance}}"), stacked=True),
    ]
    return board("streams", "Streams", "Live sessions, WebSockets, streams of bars and of events.", parts=[
        ("Is it live?", now),
        ("Do WebSockets stay?", sockets),
        ("Do streams flow?", streams),
        ("Who listens?", events),
    ])
