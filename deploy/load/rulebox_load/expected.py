"""The rules that the test uploads, and what they must say.

What they must say is worked out here, apart from Rulebox, and in whole numbers: no answer is right "nearly".
"""

import hashlib
import random
from datetime import UTC, datetime

# Drawdowns and limits are whole numbers of basis points: what `.2%` prints of one is exact.
ACCOUNT = """edition 1
rule account(equity: num in 0..1e15, drawdown: num in 0..1) {
  param limit: num = 10% in 1%..50%
  param warn_at: num = 8% in 0%..50%
  if drawdown >= limit { breach liquidate "drawdown {drawdown:.2%}, limit {limit:.2%}" }
  else if drawdown >= warn_at { warn "drawdown {drawdown:.2%} near {limit:.2%}" }
}
"""
WARN_AT = 800

# It remembers a peak, so that what a session keeps between two calls decides.
TRAILING = """edition 1
rule trailing(equity: num in 0..1e9, margin_call: bool) {
  param limit: num = 500 in 1..1e6
  var peak = equity
  if equity > peak { peak := equity }
  let down = peak - equity
  out down = down
  if margin_call { breach liquidate "margin call" }
  if down >= limit { breach block "down {down:.0} of {limit:.0}" }
  else if 2 * down >= limit { warn reduce(0.5) "down {down:.0}" }
}
"""
LIMIT = 500

# One that an author changes again and again.
FLOOR = 'rule floor(equity) {{ if equity < {floor} {{ breach block "under {floor}" }} }}'

# When bars begin, in seconds; they are a minute apart.
BEGINS = 1_500_000_000


def verdict(word, action=None, reasons=(), out=None, keep=None):
    """What an answer says of a bar."""
    said = {"verdict": word, "action": action, "reasons": list(reasons), "out": out or {}}
    if keep is not None:
        said["keep"] = keep
    return said


def percent(points):
    """Basis points as `.2%` prints them."""
    return f"{points // 100}.{points % 100:02}%"


def account(drawdown, limit):
    """What ACCOUNT says, of basis points."""
    if drawdown >= limit:
        return verdict("breach", "liquidate", [f"drawdown {percent(drawdown)}, limit {percent(limit)}"])
    if drawdown >= WARN_AT:
        return verdict("warn", None, [f"drawdown {percent(drawdown)} near {percent(limit)}"])
    return verdict("ok")


class Trailing:
    """What TRAILING says, bar by bar."""

    def __init__(self):
        self.peak = None

    def bar(self, equity, margin_call):
        self.peak = equity if self.peak is None else max(self.peak, equity)
        down = self.peak - equity
        reasons = ["margin call"] if margin_call else []
        out = {"down": down}
        if down >= LIMIT:
            reasons.append(f"down {down} of {LIMIT}")
            return verdict("breach", "liquidate" if margin_call else "block", reasons, out)
        if 2 * down >= LIMIT:
            reasons.append(f"down {down}")
            if not margin_call:
                return verdict("warn", "reduce", reasons, out, 0.5)
        if margin_call:
            return verdict("breach", "liquidate", reasons, out)
        return verdict("ok", None, reasons, out)


class Walk:
    """An account whose equity goes up and down, bar by bar."""

    def __init__(self, chance: random.Random):
        self.chance, self.equity = chance, 100_000

    def bar(self):
        self.equity = max(0, self.equity + self.chance.randint(-30, 31))
        return self.equity, self.chance.random() < 0.001


def time_of(bar):
    """The time of a bar, as answers write it."""
    return datetime.fromtimestamp(BEGINS + 60 * bar, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds_of(bar):
    """The same, as a request has it."""
    return (BEGINS + 60 * bar) * 1000


class Series:
    """Bars of an account, and everything that an answer says of them."""

    # Changes of verdict in an answer, at most: RULEBOX_EVALUATION__EVENTS as it is by default.
    MOST_EVENTS = 1000

    def __init__(self, bars, chance: random.Random):
        walk, rule = Walk(chance), Trailing()
        account = [walk.bar() for _ in range(bars)]
        self.equity = [equity for equity, _ in account]
        self.margin_call = [call for _, call in account]
        self.said = [rule.bar(*bar) for bar in account]
        self.verdicts = [said["verdict"] for said in self.said]
        self.down = [said["out"]["down"] for said in self.said]
        self.counts = {word: self.verdicts.count(word) for word in ("ok", "warn", "breach", "fault")}
        self.first = {word: self.event(self.verdicts.index(word)) for word in ("warn", "breach") if self.counts[word]}

        self.known = set()

    def check_once(self, text, check):
        """Checks what an answer says. That takes longer than the service took, and meanwhile no other user gets on: what is
        byte for byte the same as what was right needs no second look."""
        digest = hashlib.sha256(text).digest()
        if digest not in self.known:
            check()
            self.known.add(digest)

    def __len__(self):
        return len(self.equity)

    def event(self, bar):
        """What a list of events, or a stream, says of a bar."""
        return {"bar": bar, "time": time_of(bar)} | self.said[bar]

    def events(self):
        """Bars whose verdict or action is another than that of the bar before; before the first is `ok`."""
        before, events = ("ok", None), []
        for bar, said in enumerate(self.said):
            now = (said["verdict"], said["action"])
            if now != before:
                events.append(self.event(bar))
            before = now
        return events
