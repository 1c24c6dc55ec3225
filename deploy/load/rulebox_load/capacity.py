"""The parts of deploy/operations/capacity.md that are made of figures.json: nobody writes a number there by hand."""

import math
import re

# What the chart has: deploy/chart/values.yaml. A test holds these against it.
TARGET_CPU = 0.65
TARGET_IN_FLIGHT = 16
LEAST, MOST = 3, 100
API_CPU, EXECUTOR_CPU = 0.5, 2.0
SURGE = 0.25
# Connections of a pod of the API to poolers: of both logins.
CONNECTIONS = 12
# A pod's, of WebSockets and of streams.
SOCKETS, STREAMS = 4096, 64

EXAMPLES = [
    # Name, single bars/s, bars/s of series, sessions, their bars/s, WebSockets.
    ("a desk", 50, 100_000, 500, 100, 100),
    ("a firm", 2_000, 2_000_000, 10_000, 2_000, 5_000),
    ("a platform", 15_000, 10_000_000, 100_000, 15_000, 50_000),
]


def plan(figures, single, series, sessions, session_bars, sockets):
    """Pods, connections and memory for so much."""
    by_executor, session = figures["bar_by_executor"], figures["session_bar"]
    of_series = series / 1000 * figures["columns_1000"]["cpu_us_per_1000_bars"]
    api = (single * by_executor["api_cpu_us"] + session_bars * session["cpu_us"] + of_series) / 1e6
    executors = ((single + session_bars) * by_executor["executor_cpu_us"] + of_series) / 1e6
    pods = max(LEAST, math.ceil(api / (API_CPU * TARGET_CPU)), math.ceil(sockets / SOCKETS))
    return {
        "api_cores": api,
        "api_pods": pods,
        "executor_cores": executors,
        "executor_pods": max(LEAST, math.ceil(executors / (EXECUTOR_CPU * TARGET_CPU))),
        "clients": CONNECTIONS * (pods + math.ceil(pods * SURGE)),
        "redis_megabytes": sessions * figures["session"]["redis_kilobytes"] / 1e3,
    }


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:,.3g}"


def cpu(microseconds):
    return f"{number(microseconds)} µs"


def how(measured):
    machine = measured["machine"]
    return (
        f"By `{measured['command']}` on {measured['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}, the release build."
    )


def table(measured):
    got = measured["figures"]
    rows = [
        (
            "one bar, keep-alive",
            f"{number(got['bar']['per_second'])} requests",
            cpu(got["bar"]["cpu_us"]),
            got["bar"]["p99_ms"],
        ),
        (
            "the same at about half",
            f"{number(got['bar_at_half']['per_second'])} requests",
            cpu(got["bar_at_half"]["cpu_us"]),
            got["bar_at_half"]["p99_ms"],
        ),
    ]
    for name, what in (
        ("columns_1000", "columns of 1,000 bars"),
        ("columns_100000", "columns of 100,000 bars"),
        ("lines_20000", "lines of JSON, 20,000 bars"),
    ):
        rows.append(
            (
                what,
                f"{number(got[name]['bars_per_second'])} bars",
                f"{cpu(got[name]['cpu_us_per_1000_bars'])} for 1,000 bars",
                got[name]["p99_ms"],
            )
        )
    session, upload = got["session_bar"], got["upload"]
    rows.append(
        (
            "a bar of a session, in Redis",
            f"{number(session['per_second'])} bars",
            f"{cpu(session['cpu_us'])}, of Redis {cpu(session['redis_cpu_us'])}",
            session["p99_ms"],
        )
    )
    rows.append(("an upload", f"{number(upload['per_second'])} versions", cpu(upload["cpu_us"]), upload["p99_ms"]))
    lines = ["| on one core | a second | processor time each | p99 |", "|---|---|---|---|"]
    lines += [f"| {what} | {rate} | {used} | {number(p99)} ms |" for what, rate, used, p99 in rows]
    apart = got["bar_by_executor"]
    lines.append(
        f"| one bar by an executor | | {cpu(apart['api_cpu_us'])} of the API, {cpu(apart['executor_cpu_us'])} of the executor | |"
    )
    lines += ["", "| memory | |", "|---|---|"]
    lines.append(f"| the service, with 100 rules loaded | {number(got['idle']['megabytes'])} MB |")
    lines.append(f"| a loaded rule | {number(got['rule']['kilobytes'])} kB |")
    lines.append(f"| a session with 32 answers, in Redis | {number(got['session']['redis_kilobytes'])} kB |")
    lines.append(f"| an idle WebSocket | {number(got['socket']['kilobytes'])} kB |")
    return "\n".join(lines)


def examples(measured):
    lines = [
        "| | single bars/s | bars/s of series | sessions, bars/s | WebSockets | API pods | executor pods | clients of PgBouncer | Redis |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, single, series, sessions, session_bars, sockets in EXAMPLES:
        got = plan(measured["figures"], single, series, sessions, session_bars, sockets)
        over = " (more than maxReplicas)" if max(got["api_pods"], got["executor_pods"]) > MOST else ""
        lines.append(
            f"| {name} | {single:,} | {series:,} | {sessions:,}, {session_bars:,} | {sockets:,} | "
            f"{got['api_pods']} ({got['api_cores']:.1f} cores) | {got['executor_pods']} ({got['executor_cores']:.1f} cores){over} | "
            f"{got['clients']:,} | {number(got['redis_megabytes'])} MB |"
        )
    return "\n".join(lines)


def worked(measured):
    """One of the examples, step by step."""
    figures = measured["figures"]
    name, single, series, sessions, session_bars, sockets = EXAMPLES[1]
    got = plan(figures, single, series, sessions, session_bars, sockets)
    apart, session = figures["bar_by_executor"], figures["session_bar"]
    thousand = figures["columns_1000"]["cpu_us_per_1000_bars"]
    return f"""    {name}, its API
      single bars      {single:,}/s × {number(apart["api_cpu_us"])} µs = {single * apart["api_cpu_us"] / 1e6:.2f} cores
      bars of sessions {session_bars:,}/s × {number(session["cpu_us"])} µs = {session_bars * session["cpu_us"] / 1e6:.2f} cores
      bars of series   {series // 1000:,} thousand/s × {number(thousand)} µs = {series / 1000 * thousand / 1e6:.2f} cores
      pods             {got["api_cores"]:.2f} / ({API_CPU} × {TARGET_CPU}) -> {got["api_pods"]}
      Redis            {sessions:,} × {number(figures["session"]["redis_kilobytes"])} kB = {number(got["redis_megabytes"])} MB, × 1.5 for the machine"""


PARTS = {"how": how, "table": table, "examples": examples, "worked": worked}


def fill(page, measured):
    """The page with its parts made of these figures."""
    for name, make in PARTS.items():
        pattern = rf"(<!-- figures: {name} -->\n)(?:(?!<!--).)*(<!-- end -->)"
        page, count = re.subn(
            pattern, lambda found, made=make(measured): f"{found[1]}{made}\n{found[2]}", page, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"figures: the page has {count} parts {name!r}")
    return page
