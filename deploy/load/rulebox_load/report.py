"""The table, the files and the judgement."""

import csv
import json
import os


def milliseconds(number):
    return "-" if number is None else f"{number:,.1f}"


HEADS = ["scenario", "requests", "failed", "429", "requests/s", "bars/s", "median ms", "p95 ms", "p99 ms"]


def rows(measured):
    for name, line in sorted(measured.lines.items()):
        yield [
            name,
            line.requests,
            line.failures.total(),
            line.limited,
            round(line.requests / measured.seconds, 1),
            round(line.bars / measured.seconds, 1),
            *(line.percentile(part) for part in (50, 95, 99)),
        ]


def show(measured, watch, options):
    """The table, what failed by its kind, and how the client itself did."""
    table = [
        [*(f"{cell:,}" if isinstance(cell, int | float) else cell for cell in row[:6]), *map(milliseconds, row[6:])]
        for row in rows(measured)
    ]
    widths = [max(len(row[n]) for row in [HEADS, *table]) for n in range(len(HEADS))]
    for row in [HEADS, *table]:
        print(
            "  ".join(
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    for name, line in sorted(measured.lines.items()):
        for kind, count in line.failures.most_common():
            print(f"failed: {name}: {kind}: {count:,}")
    silent = [name for name in options.scenarios if name not in measured.by_scenario]
    if silent:
        print(
            f"not run: {', '.join(silent)}: {options.users} users were too few for all scenarios, or too short a time"
        )
    cpu = sum(watch.cpu) / len(watch.cpu) if watch.cpu else 0.0
    late = max(watch.late, default=0.0)
    print(f"client: {cpu:.0%} of one core, {late * 1000:.0f} ms late at most")
    if watch.is_bottleneck():
        print(
            "client: IT WAS THE BOTTLENECK: times are longer and rates lower than the service's. Use fewer users here, "
            "and more machines at the same time"
        )


def judged(measured, options):
    """What is missed."""
    missed, requests = [], measured.total(lambda line: line.requests)
    wrong = measured.total(lambda line: line.wrong)
    if not measured.total(lambda line: len(line.milliseconds)):
        missed.append("no request was answered as it should be")
    if wrong:
        missed.append(f"{wrong:,} answers were wrong")
    failed = measured.total(lambda line: line.failures.total())
    most, is_part = options.max_failures
    if failed > (most * requests if is_part else most):
        missed.append(f"{failed:,} of {requests:,} requests failed; at most {f'{most:.2%}' if is_part else most} may")
    for name, most in options.p99_ms:
        for scenario, line in measured.by_scenario.items():
            p99 = line.percentile(99)
            if name in (None, scenario) and p99 is not None and p99 > most:
                missed.append(f"p99 of {scenario} is {p99:,.1f} ms; at most {most:,} may be")
        if name and name not in measured.by_scenario:
            missed.append(f"p99 of {name} was not measured")
    return missed


def write(measured, watch, options, missed):
    """JSON and CSV, as the options say."""
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADS, *rows(measured)])
    if options.json:
        said = {
            "url": options.url,
            "users": options.users,
            "seconds": round(measured.seconds, 3),
            "scenarios": {
                name: {
                    "requests": line.requests,
                    "answered": len(line.milliseconds),
                    "limited": line.limited,
                    "failures": dict(line.failures),
                    "wrong": line.wrong,
                    "bars": line.bars,
                    "requests_per_second": line.requests / measured.seconds,
                    "bars_per_second": line.bars / measured.seconds,
                    "milliseconds": {f"p{part}": line.percentile(part) for part in (50, 95, 99)},
                }
                for name, line in sorted(measured.lines.items())
            },
            "client": {"cpu": watch.cpu, "late_seconds": watch.late, "bottleneck": watch.is_bottleneck()},
            "missed": missed,
        }
        with open(f"{options.json}.part", "w", encoding="utf-8") as file:
            json.dump(said, file, indent=2)
            file.write("\n")
        os.replace(f"{options.json}.part", options.json)
