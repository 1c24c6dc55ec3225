"""Are the processes well, what version runs, and what does it cost this month?"""

from panels import OF, board, graph, number, query, rows, steps


def made():
    there = [
        number("Processes", "That Prometheus reaches: a pod each.", "short", f"sum(up{{{OF}}})", width=3),
        number("Away", "That Prometheus knows and does not reach. Normal: 0, but for seconds of an update.", "short",
               f"sum(1 - up{{{OF}}})", runbook="restarts", thresholds=steps(1, 2), width=3),
        number("Versions", "More than one while an update, or a canary, goes on.", "short",
               f"count(count by (version) (rulebox_build_info{{{OF}}}))", thresholds=steps(2, 3), width=3),
        number("Started, 30 minutes", "Starts of processes that were there before. Warns at 3 of one.", "short",
               f"max(changes(process_start_time_seconds{{{OF}}}[30m]))", runbook="restarts", thresholds=steps(1, 3), width=3),
        number("Youngest", "Since the last start of any of them.", "s", f"time() - max(rulebox_start_time_seconds{{{OF}}})",
               width=3),
        number("Memory", "Of its limit, where it is highest.", "percentunit",
               f"max(process_resident_memory_bytes{{{OF}}} / on (instance, job) rulebox_memory_limit_bytes{{{OF}}})",
               runbook="memory-leak", thresholds=steps(0.8, 0.9), width=3, decimals=0),
        number("Open files", "Of what a process may have, where it is highest.", "percentunit",
               f"max(process_open_fds{{{OF}}} / process_max_fds{{{OF}}})", thresholds=steps(0.6, 0.8), width=3, decimals=0),
        number("Backup", "Since the last that succeeded. Pages at 26 hours.", "s",
               f"time() - (max(rulebox_backup_last_success_timestamp_seconds{{{OF}}}) > 0)", runbook="backup-too-old",
               thresholds=steps(25 * 3600, 26 * 3600), width=3),
        graph("Processes by component", "API and executors, as Prometheus reaches them.", "short",
              query(f"sum by (component) (up{{{OF}}})", "{{component}}"), stacked=True),
        rows("What runs", "Each process, its version and that of its time zones.", "short",
             f"rulebox_build_info{{{OF}}}", hidden=("Time", "__name__", "Value")),
    ]
    used = [
        graph("Processor", "Seconds a second. An executor uses as many as it has threads, and no more.", "short",
              query(f"rate(process_cpu_seconds_total{{{OF}}}[$__rate_interval])", "{{instance}}")),
        graph("Memory", "In RAM, and the limit of each process where its control group has one.", "bytes",
              query(f"process_resident_memory_bytes{{{OF}}}", "{{instance}}"),
              query(f"rulebox_memory_limit_bytes{{{OF}}}", "limit, {{instance}}"), runbook="memory-leak"),
        graph("Open files", "A WebSocket is one, a connection to executors is one.", "short",
              query(f"process_open_fds{{{OF}}}", "{{instance}}"), query(f"min(process_max_fds{{{OF}}})", "least that may be")),
        graph("Threads", "Steady after the start. One that grows is a leak.", "short",
              query(f"process_threads{{{OF}}}", "{{instance}}")),
        graph("Addresses", "Each run reserves some, and gives them back. It is not memory.", "bytes",
              query(f"process_virtual_memory_bytes{{{OF}}}", "{{instance}}")),
        graph("Age of processes", "Each fall is a start.", "s",
              query(f"time() - process_start_time_seconds{{{OF}}}", "{{instance}}"), runbook="restarts"),
    ]
    cost = [
        number("Fuel this month", "Since the first of this month.", "short",
               f"sum(increase(rulebox_fuel_consumed_total{{{OF}}}[$__range]))", runbook="cost", month=True),
        number("Fuel, of the budget", "What this month comes to at the pace of the last day, of what it may.", "percentunit",
               "service:rulebox_fuel_month:pace1d / service:rulebox_fuel_month:budget", runbook="cost",
               thresholds=steps(0.9, 1), decimals=0),
        number("Fuel budget", "Of a month: `monitoring.budget.fuelPerMonth` of the chart.", "short",
               "service:rulebox_fuel_month:budget", runbook="cost"),
        number("Pod-hours this month", "Since the first of this month. A gap in Prometheus' data is not counted.", "h",
               "sum(avg_over_time(service:rulebox_pods:count[$__range])) * $__range_s / 3600", runbook="cost",
               month=True, decimals=0),
        number("Pod-hours, of the budget", "What this month comes to at the pace of the last day, of what it may.",
               "percentunit", "service:rulebox_pod_hours_month:pace1d / service:rulebox_pod_hours_month:budget",
               runbook="cost", thresholds=steps(0.9, 1), decimals=0),
        number("Pod-hours budget", "Of a month: `monitoring.budget.podHoursPerMonth` of the chart.", "h",
               "service:rulebox_pod_hours_month:budget", runbook="cost"),
        graph("Fuel of a month at this pace", "Of the last day and of the last week, and the budget.", "short",
              query("service:rulebox_fuel_month:pace1d", "by the last day"),
              query("service:rulebox_fuel_month:pace7d", "by the last week"),
              query("service:rulebox_fuel_month:budget", "budget"), runbook="cost"),
        graph("Pod-hours of a month at this pace", "Of the last day and of the last week, and the budget.", "h",
              query("service:rulebox_pod_hours_month:pace1d", "by the last day"),
              query("service:rulebox_pod_hours_month:pace7d", "by the last week"),
              query("service:rulebox_pod_hours_month:budget", "budget"), runbook="cost"),
    ]
    return board("platform", "Platform", "Processes, what they use, versions, and what the month costs.", parts=[
        ("Are the processes there?", there),
        ("What do they use?", used),
        ("What does the month cost?", cost),
    ])
