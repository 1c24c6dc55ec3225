"""What users do. Each scenario is a kind of user of Locust; each request of it is checked, counted and timed apart."""

import json
import random
import time

import gevent
from locust import User, task

from . import expected
from .client import Client, Failed, Limited, judged, same
from .streams import ARROW, LINES, check_batches, check_lines, send


class RuleboxUser(User):
    """One who calls the service. `world` is set before users are made: names of rules, options, bodies."""

    abstract = True
    world = None

    def __init__(self, environment):
        super().__init__(environment)
        world = self.world
        # Users are spread over the tenants.
        self.number = world.next_user()
        self.chance = random.Random(f"{world.options.seed} {self.number}")
        self.client = Client(world.target, world.keys[self.number % len(world.keys)])
        self.error = None

    def wait_time(self):
        """Between half of `--think-ms` and one and a half."""
        return self.world.options.think_ms / 1000 * (0.5 + self.chance.random())

    def measured(self, name, bars, ask, status, check):
        """Asks once, checks what comes, and tells Locust. Gives the answer, or nothing if it is not right."""
        began, answer, error = time.perf_counter(), None, None
        try:
            answer = ask()
        except Failed as failure:
            error = failure
        took = time.perf_counter() - began
        if answer is not None:
            try:
                judged(answer, status, check)
            except Failed as failure:
                error = failure
        self.error = error
        self.environment.events.request.fire(
            request_type=self.scenario,
            name=name,
            response_time=took * 1000,
            response_length=len(answer.body) if answer else 0,
            exception=error,
            context={"bars": bars},
        )
        if isinstance(error, Limited):
            # What it was told is what it does; what it asks then counts as another request.
            gevent.sleep(error.seconds)
        return answer if error is None else None

    def request(self, method, path, body=None, *, status=200, check=lambda _: None, bars=0, name=None, headers=None):
        return self.measured(
            name or self.scenario, bars, lambda: self.client.send(method, path, body, headers), status, check
        )

    def on_stop(self):
        self.client.close()

    @classmethod
    def bodies(cls, world):
        """Of the large ones: how to ask, the series, its check."""
        return []


class Single(RuleboxUser):
    """One bar a request, over one connection."""

    scenario = "single"

    @task
    def bar(self):
        drawdown, limit = self.chance.randrange(10_001), self.chance.randrange(500, 1501)
        body = json.dumps(
            {"inputs": {"equity": 92_000, "drawdown": drawdown / 10_000}, "params": {"limit": limit / 10_000}}
        )
        said = expected.account(drawdown, limit) | {"rule": self.world.account, "version": 1}
        path = f"/v1/rules/{self.world.account}/evaluate"
        self.request("POST", path, body, bars=1, check=lambda answer: same(answer.json(), said, "a bar"))


class Columns(RuleboxUser):
    """Whole series in one request, up to 100,000 bars."""

    scenario = "columns"
    MIX = {1_000: 80, 10_000: 15, 100_000: 5}

    @classmethod
    def bodies(cls, world):
        for made in world.columns.values():
            for series, body in made:
                yield lambda client, body=body: client.send("POST", cls.path(world), body), series, check_columns

    @staticmethod
    def path(world):
        return f"/v1/rules/{world.trailing}/evaluate?series=verdict,out"

    @task
    def series(self):
        (bars,) = self.chance.choices(list(self.MIX), list(self.MIX.values()))
        series, body = self.chance.choice(self.world.columns[bars])
        path = f"/v1/rules/{self.world.trailing}/evaluate?series=verdict,out"

        name = f"columns of {bars:,}"

        def check(answer):
            check_columns(series, self.world.trailing, answer)

        self.request("POST", path, body, bars=bars, name=name, check=check)


def check_columns(series, rule, answer):
    """Everything that the answer says of a series."""
    series.check_once(answer.body, lambda: check_all_columns(series, rule, answer.json()))


def check_all_columns(series, rule, said):
    same(said, {"bars": len(series), "counts": series.counts, "rule": rule}, "counts of a series")
    same(said["series"]["verdict"], series.verdicts, "verdicts of a series")
    same(said["series"]["out"]["down"], series.down, "outs of a series")
    for word, event in series.first.items():
        same(said["first"][word], event, "the first of a series")
    events = series.events()
    same(said["events_truncated"], len(events) > series.MOST_EVENTS, "events of a series")
    same(said["events"], events[: series.MOST_EVENTS], "events of a series")


class Lines(RuleboxUser):
    """A stream of lines of JSON, read while it is written."""

    scenario = "lines"
    kind, check_of = LINES, staticmethod(check_lines)

    @classmethod
    def bodies(cls, world):
        path = f"/v1/rules/{world.trailing}/evaluate"
        for series, body in world.streams[cls.kind]:
            yield lambda client, body=body: send(client, path, cls.kind, body), series, cls.check_of

    @task
    def stream(self):
        series, body = self.chance.choice(self.world.streams[self.kind])
        path = f"/v1/rules/{self.world.trailing}/evaluate"
        self.measured(
            self.scenario,
            len(series),
            lambda: send(self.client, path, self.kind, body),
            200,
            lambda answer: self.check_of(series, self.world.trailing, answer),
        )


class Arrow(Lines):
    """A stream of Arrow record batches."""

    scenario = "arrow"
    kind, check_of = ARROW, staticmethod(check_batches)


class Author(RuleboxUser):
    """Checks texts, right ones and wrong ones, and now and then uploads a version and tries it."""

    scenario = "author"
    WRONG = "rule floor(equity) { if equity < { breach } }"

    def on_start(self):
        self.rule, self.versions = f"{self.world.prefix}_floor_{self.number}", 0

    @task(10)
    def check(self):
        floor = self.chance.randrange(10**9)
        text = json.dumps({"source": expected.FLOOR.format(floor=floor)})

        def right(answer):
            said = answer.json()
            same([one["name"] for one in said["manifest"]["inputs"]], ["equity"], "a manifest")

        self.request("POST", "/v1/rules/check", text, name="check", check=right)

    @task(5)
    def check_wrong(self):
        text = json.dumps({"source": self.WRONG})

        def right(answer):
            said = answer.json()
            same((said["code"], len(said["diagnostics"]) > 0), ("rule_invalid", True), "diagnostics")

        self.request("POST", "/v1/rules/check", text, status=422, name="check a wrong one", check=right)

    @task(1)
    def upload(self):
        if not self.world.may_upload():
            return
        floor = self.chance.randrange(1, 10**9)
        body = {"source": expected.FLOOR.format(floor=floor)}
        # The first makes the rule.
        path = f"/v1/rules/{self.rule}/versions" if self.versions else "/v1/rules"
        body |= {} if self.versions else {"name": self.rule}
        key = {"idempotency-key": f"{self.world.prefix}-{self.number}-{self.chance.getrandbits(64)}"}
        version = self.versions + 1

        def right(answer):
            same(answer.json(), {"rule": self.rule, "version": version}, "a version")

        self.world.made(self.rule, self.client.key)
        text = json.dumps(body)
        for name in ("upload", "upload, sent again"):
            # Sent again, it is done once and answered the same. One whose answer was lost may have been done.
            answer = self.request("POST", path, text, status=201, name=name, headers=key, check=right)
            if answer is None:
                return
        self.versions = version
        for equity, word in ((floor - 1, "breach"), (floor, "ok")):
            path = f"/v1/rules/{self.rule}/evaluate?version={version}"
            inputs = json.dumps({"inputs": {"equity": equity}})
            self.request(
                "POST",
                path,
                inputs,
                bars=1,
                name="a bar of the upload",
                check=lambda answer, word=word: same(answer.json(), {"verdict": word, "version": version}, "a bar"),
            )


class Mistakes(RuleboxUser):
    """Requests that are wrong, each with the answer that it must get. None has a bad key: ten of those are an alert."""

    scenario = "mistakes"

    @task
    def mistake(self):
        rule = f"/v1/rules/{self.world.account}/evaluate"
        right = '{"inputs":{"equity":1,"drawdown":0}}'
        method, path, body, status, code, kind = self.chance.choice(
            [
                ("POST", rule, '{"inputs":{"equity":1', 400, "malformed_json", None),
                ("POST", rule, '{"inputs":{"equity":1,"drawdown":0},"more":1}', 422, "invalid_request", None),
                ("POST", rule, '{"inputs":{"equity":1}}', 422, "missing_column", None),
                ("POST", rule, '{"inputs":{"equity":1,"drawdown":0,"x":1}}', 422, "unknown_column", None),
                ("POST", rule, right[:-1] + ',"params":{"limit":2}}', 422, "param_out_of_range", None),
                ("POST", rule, '{"columns":{"equity":[1],"drawdown":[0,0]}}', 422, "column_lengths", None),
                ("POST", rule, right, 415, "unsupported_media_type", "text/html"),
                ("POST", f"{rule}?version=999", right, 404, "version_not_found", None),
                ("POST", f"/v1/rules/{self.world.prefix}_none/evaluate", right, 404, "rule_not_found", None),
                ("PUT", "/v1/sessions", "", 405, "method_not_allowed", None),
            ]
        )
        headers = {"content-type": kind} if kind else None

        def check(answer):
            same(answer.json().get("code"), code, "the code of a problem")

        self.request(method, path, body, status=status, headers=headers, check=check, name=f"{status} {code}")
