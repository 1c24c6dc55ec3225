"""What a run needs in the service, made before it and archived behind it; and the bodies that users send."""

import json
import random
import secrets

import gevent

from . import expected
from .client import Client, Failed, Limited, Target, judged
from .streams import ARROW, LINES, batches_of, lines_of

# Bars of a stream.
STREAM = 20_000


class World:
    """Rules have names of this run, so that runs at the same time do not meet."""

    def __init__(self, options):
        self.options, self.keys = options, options.keys
        self.target = Target(options.url, options.ca_file, options.timeout_seconds)
        self.prefix = f"load_{secrets.token_hex(4)}"
        self.account, self.trailing = f"{self.prefix}_account", f"{self.prefix}_trailing"
        self.users, self.uploads, self.rules, self.left = 0, options.uploads, {}, []
        self.columns, self.streams = {}, {}

    def next_user(self):
        self.users += 1
        return self.users - 1

    def may_upload(self):
        self.uploads -= 1
        return self.uploads >= 0

    def made(self, rule, key):
        """Remembers a rule, to archive it. Its name may be there although the answer was lost."""
        self.rules[key, rule] = None

    def left_behind(self, what):
        self.left.append(what)

    def prepare(self):
        """Bodies, and all that answers to them must say."""
        chance = random.Random(self.options.seed)
        if "columns" in self.options.scenarios:
            for bars, variants in ((1_000, 8), (10_000, 3), (100_000, 1)):
                made = [expected.Series(bars, chance) for _ in range(variants)]
                self.columns[bars] = [(series, columns_of(series)) for series in made]
        for scenario, kind, body_of in (("lines", LINES, lines_of), ("arrow", ARROW, batches_of)):
            if scenario in self.options.scenarios:
                made = [expected.Series(STREAM, chance) for _ in range(2)]
                self.streams[kind] = [(series, body_of(series)) for series in made]

    def upload(self):
        """Uploads the rules, for each tenant. Raises what is not right."""
        for key in dict.fromkeys(self.keys):
            client = Client(self.target, key)
            for name, source in ((self.account, expected.ACCOUNT), (self.trailing, expected.TRAILING)):
                self.made(name, key)
                body = json.dumps({"name": name, "source": source})
                again = {"idempotency-key": name}
                self.once(
                    lambda client=client, body=body, again=again: client.send("POST", "/v1/rules", body, again), 201
                )
            client.close()

    def warm_up(self, bodies):
        """Sends each large body once, before anything is measured. What is not right, users will meet again."""
        client = Client(self.target, self.keys[0])
        for ask, series, check in bodies:
            try:
                judged(ask(client), 200, lambda answer, check=check, of=series: check(of, self.trailing, answer))
            except Failed:
                continue
        client.close()

    def archive(self):
        """Archives what there is of this run; says what could not be."""
        for key, rule in self.rules:
            client = Client(self.target, key)
            try:
                path, state = f"/v1/rules/{rule}", {"if-match": "*"}
                answer = self.once(lambda ask=client.send, path=path, state=state: ask("DELETE", path, None, state), None)
                # 404: it was not made.
                if answer.status not in (200, 404):
                    self.left_behind(f"rule {rule} ({answer.status})")
            except Failed as error:
                self.left_behind(f"rule {rule} ({error})")
            client.close()
        return self.left

    def once(self, ask, status):
        """Asks until it is not turned away by a limit: that is no failure of the service, and no part of the test."""
        while True:
            answer = ask()
            try:
                judged(answer, status or answer.status, lambda answer: None)
            except Limited as limited:
                gevent.sleep(limited.seconds)
                continue
            if answer.status == 429:
                gevent.sleep(answer.retry_after())
                continue
            return answer


def columns_of(series):
    return json.dumps(
        {
            "columns": {
                "time": [expected.milliseconds_of(bar) for bar in range(len(series))],
                "equity": series.equity,
                "margin_call": series.margin_call,
            }
        }
    )
