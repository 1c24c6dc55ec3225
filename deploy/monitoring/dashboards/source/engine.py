"""What is evaluated, what waits, what compiling and running cost."""

from panels import OF, at_least, board, graph, number, query, steps


def rate(metric, by, more=""):
    return f"sum by ({by}) (rate({metric}{{{more}{OF}}}[$__rate_interval]))"


def made():
    done = [
        number("Bars a second", "Bars that rules were run over.", "short",
               f"sum(rate(rulebox_bars_evaluated_total{{{OF}}}[$__rate_interval]))", decimals=0),
        number("Runs a second", "A request over three rules is three runs.", "short",
               f"sum(rate(rulebox_evaluations_total{{{OF}}}[$__rate_interval]))", decimals=1),
        number("In flight", "Evaluations that were taken in and have no results yet. Autoscaling of the API goes by it.",
               "short", f"sum(rulebox_evaluations_in_flight{{{OF}}})"),
        number("Waiting", "Requests that wait for a thread. Autoscaling of executors goes by it. Normal: 0.", "short",
               f"sum(rulebox_evaluation_queue_depth{{{OF}}})", runbook="latency-burn", thresholds=steps(8, 64)),
        number("Waiting to be compiled", "Warns at 8 in a process.", "short",
               f"max(rulebox_compile_queue_depth{{{OF}}})", runbook="compile-queue", thresholds=steps(4, 8)),
        number("Found in memory", "Modules that were loaded already. Normal: above 95 %; below, "
               "`evaluation.loaded_bytes` is too small for the modules in use.", "percentunit",
               f"sum(rate(rulebox_module_cache_requests_total{{tier=\"memory\", result=\"hit\", {OF}}}[$__rate_interval])) / "
               f"sum(rate(rulebox_module_cache_requests_total{{tier=\"memory\", {OF}}}[$__rate_interval]))",
               thresholds=at_least(0.5, 0.9), decimals=1),
        graph("Runs by mode", "`bar` and `session` are live, `columns` and `stream` are series.", "ops",
              query(rate("rulebox_evaluations_total", "mode"), "{{mode}}"), stacked=True),
        graph("Bars by mode", "A series has thousands of bars in one run.", "short",
              query(rate("rulebox_bars_evaluated_total", "mode"), "{{mode}}"), stacked=True),
        graph("Runs by outcome", "The most severe verdict of the run, or `violation`.", "ops",
              query(rate("rulebox_evaluations_total", "outcome"), "{{outcome}}"), stacked=True),
        graph("Faults", "Runs that ended in a fault: a value was missing, or a number out of its range. That is the rule's "
              "or its input's, and no alert.", "ops", query(rate("rulebox_rule_faults_total", "component"), "{{component}}")),
    ]
    waiting = [
        graph("In flight and waiting", "Normal: what waits is a small part of what is in flight.", "short",
              query(f"sum by (component) (rulebox_evaluations_in_flight{{{OF}}})", "in flight, {{component}}"),
              query(f"sum by (component) (rulebox_evaluation_queue_depth{{{OF}}})", "waiting, {{component}}"),
              runbook="latency-burn"),
        graph("Time taken by mode, 95th percentile", "From the read request to the results, with the wait.", "s",
              query(f"histogram_quantile(0.95, {rate('rulebox_evaluation_duration_seconds_bucket', 'le, mode')})", "{{mode}}"),
              runbook="latency-burn"),
        graph("Refused for want of room", "By what there was none in. Normal: none.", "ops",
              query(rate("rulebox_requests_refused_total", "reason"), "{{reason}}"), runbook="server-errors"),
        graph("Requests being answered", "With those that wait, and streams.", "short",
              query(f"sum by (instance) (http_server_active_requests{{{OF}}})", "{{instance}}")),
    ]
    compiling = [
        graph("Time to compile, 95th percentile", "`compile` is text to module, `load` module to machine code, `worker` the "
              "same of modules of tenants. Normal: `compile` below 50 ms, `worker` below 5 s.", "s",
              query(f"histogram_quantile(0.95, {rate('rulebox_compile_duration_seconds_bucket', 'le, stage')})", "{{stage}}"),
              runbook="compile-queue"),
        graph("Compiled, by result", "What is refused at an upload is the author's.", "ops",
              query(rate("rulebox_compile_duration_seconds_count", "stage, result"), "{{stage}}, {{result}}")),
        graph("Waiting to be compiled", "Warns at 8 in a process for five minutes.", "short",
              query(f"rulebox_compile_queue_depth{{{OF}}}", "{{instance}}"), runbook="compile-queue", lines=steps(4, 8)),
        graph("Not compiled", "By reason: `queue_full`, or the kind of the refusal.", "ops",
              query(rate("rulebox_compile_rejected_total", "reason"), "{{reason}}"), runbook="compile-queue"),
    ]
    cost = [
        graph("Fuel", "Units that runs used: what limits and the budget are of.", "short",
              query(f"sum(rate(rulebox_fuel_consumed_total{{{OF}}}[$__rate_interval]))", "fuel a second")),
        graph("Fuel of a bar", "Over all rules. It rises with rules that look further back.", "short",
              query(f"sum(rate(rulebox_fuel_consumed_total{{{OF}}}[$__rate_interval])) / "
                    f"sum(rate(rulebox_bars_evaluated_total{{{OF}}}[$__rate_interval]))", "fuel a bar")),
        graph("Most memory of a run", "Since each process started.", "bytes",
              query(f"max by (instance) (rulebox_guest_memory_peak_bytes{{{OF}}})", "{{instance}}")),
        graph("Caches of modules", "`memory` are loaded ones, `disk` and `redis` compiled code. `tampered` is critical.", "ops",
              query(rate("rulebox_module_cache_requests_total", "tier, result"), "{{tier}}, {{result}}"), runbook="tampering"),
        graph("Held against the interpreter", "At uploads, and for a sample of evaluations. `different` must never be; "
              "`skipped` is what could not be checked in time.", "ops",
              query(rate("rulebox_differential_checks_total", "source, result"), "{{source}}, {{result}}"),
              runbook="critical-violation", width=24),
    ]
    return board("engine", "Engine", "What is evaluated, what waits, and what compiling and running cost.", parts=[
        ("What is done?", done),
        ("Does anything wait?", waiting),
        ("Does compiling keep up?", compiling),
        ("What does it cost?", cost),
    ])
