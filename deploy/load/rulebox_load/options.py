"""What the command line says, and whether that can be meant."""

import argparse
import ipaddress
import re
from urllib.parse import urlsplit

# What a user is, and how many of 100 are such users unless it is said.
SCENARIOS = {
    "single": (50, "one bar a request, over one connection"),
    "columns": (10, "series of 1,000, 10,000 and 100,000 bars, in one request"),
    "lines": (5, "streams of lines of JSON"),
    "arrow": (5, "streams of Arrow record batches"),
    "session": (15, "live runs, bar by bar, some answers asked for twice"),
    "socket": (10, "the same over WebSockets"),
    "author": (4, "texts checked, right and wrong; versions uploaded"),
    "mistakes": (1, "requests that are wrong, and must be told so"),
}


def whole(least, most):
    def parse(text):
        number = int(text) if re.fullmatch(r"\d{1,9}", text) else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most:,}")
        return number

    return parse


def scenario(text):
    name, _, weight = text.partition("=")
    if name not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return name, whole(1, 1000)(weight) if weight else SCENARIOS[name][0]


def milliseconds(text):
    name, _, number = text.rpartition("=")
    if name and name not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return name or None, whole(1, 3_600_000)(number)


def failures(text):
    if re.fullmatch(r"\d{1,2}(\.\d+)?%", text):
        return float(text[:-1]) / 100, True
    return whole(0, 999_999_999)(text), False


def key(path):
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from None
    if not re.fullmatch(r"[\w.~+/=-]+", text):
        raise argparse.ArgumentTypeError(f"{path} has no key in it, and nothing else")
    return text


def url(text):
    parts = urlsplit(text)
    try:
        is_right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or parts.query or parts.fragment or parts.username:
        raise argparse.ArgumentTypeError(f"{text!r} is not http://HOST[:PORT] or https://HOST[:PORT]")
    return text.rstrip("/")


# Parts of names of what is not production.
ELSEWHERE = {
    "staging",
    "stage",
    "stg",
    "test",
    "testing",
    "dev",
    "qa",
    "load",
    "sandbox",
    "local",
    "localhost",
    "preview",
}


def is_production(text):
    """Whether a URL may be of production: its name says so, or does not say that it is anything else."""
    host = urlsplit(text).hostname
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        words = set(re.split(r"[.\d-]+", host.lower()))
    return bool(words & {"prod", "production", "live"}) or not words & ELSEWHERE


def parser():
    lines = "\n".join(f"  {name:9} {weight:3} of 100: {what}" for name, (weight, what) in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="run",
        description="Loads a Rulebox as its users do, and checks every answer.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""scenarios:
{lines}

Exit codes: 0; 1 if a threshold is missed, an answer is wrong or nothing could be measured; 2 for bad usage.""",
    )
    add = parser.add_argument
    add("--url", required=True, type=url, help="where the API is: https://rulebox.staging.example.com")
    add(
        "--key-file",
        required=True,
        type=key,
        action="append",
        dest="keys",
        metavar="FILE",
        help="a file with a key of the roles author and engine; given again, users are spread over these tenants",
    )
    add("--users", type=whole(1, 100_000), default=20, metavar="N", help="at a time (20)")
    add("--seconds", type=whole(1, 86_400), default=60, metavar="S", help="how long (60)")
    add(
        "--scenario",
        type=scenario,
        action="append",
        dest="scenarios",
        metavar="NAME[=WEIGHT]",
        help="only this one; given again, these, by weight",
    )
    add(
        "--think-ms",
        type=whole(0, 30_000),
        default=100,
        metavar="MS",
        help="between a user's requests, half more or less (100); 0: none",
    )
    add(
        "--max-failures",
        type=failures,
        default=(0, False),
        metavar="N|N%%",
        help="requests that may fail (0). A wrong answer is always one too many, and one of 429 is no failure",
    )
    add(
        "--p99-ms",
        type=milliseconds,
        action="append",
        default=[],
        metavar="[NAME=]MS",
        help="the most that p99 of each scenario, or of one, may be",
    )
    add(
        "--uploads",
        type=whole(0, 10_000),
        default=100,
        metavar="N",
        help="versions to upload at most (100): they count against the tenant's limit for ever",
    )
    add("--seed", type=whole(0, 999_999_999), default=1, metavar="N", help="of what users do (1)")
    add("--timeout-seconds", type=whole(1, 600), default=60, metavar="S", help="that an answer may take (60)")
    add("--ca-file", metavar="FILE", help="the authority of the service's certificate, instead of the system's")
    add("--json", metavar="FILE", help="write what was measured as JSON")
    add("--csv", metavar="FILE", help="write the table as CSV")
    add("--dry-run", action="store_true", help="say what would be done, and ask nobody")
    add("--yes", action="store_true", help="also if it may be production")
    return parser


def parse(arguments):
    found = parser()
    options = found.parse_args(arguments)
    chosen = options.scenarios or [(name, weight) for name, (weight, _) in SCENARIOS.items()]
    options.scenarios = dict(chosen)
    if len(options.scenarios) < len(chosen):
        found.error("a scenario is named twice")
    for name, _ in options.p99_ms:
        if name and name not in options.scenarios:
            found.error(f"--p99-ms {name}: that scenario is not run")
    options.is_production = is_production(options.url)
    if options.is_production and not options.yes and not options.dry_run:
        found.error(f"{options.url} may be production: nothing in its name says that it is not. --yes goes on")
    return options
