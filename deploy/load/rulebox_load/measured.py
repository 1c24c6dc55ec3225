"""What was measured: of the service, and of the machine that loads it."""

import time
from array import array
from collections import Counter

import gevent
import psutil

from .client import Failed, Limited, Wrong

# Beyond these a client measures itself: the part of one core (it has one thread), and seconds that it came late.
BUSY, LATE = 0.9, 0.05


class Scenario:
    """One line of the table. Times are of right answers alone: one of 429 or 500 is quick and means nothing."""

    def __init__(self):
        self.milliseconds, self.bars, self.limited, self.failures = array("d"), 0, 0, Counter()
        self.wrong = 0

    @property
    def requests(self):
        return len(self.milliseconds) + self.limited + self.failures.total()

    def percentile(self, part):
        """The smallest time that at least so many of 100 answers took at most; nothing without any."""
        if not self.milliseconds:
            return None
        times = sorted(self.milliseconds)
        return times[max(0, -(-len(times) * part // 100) - 1)]


class Measured:
    """Listens to every request of every user."""

    def __init__(self):
        self.lines, self.by_scenario, self.began, self.ended = {}, {}, time.monotonic(), None

    def request(self, request_type, name, response_time, exception, context, **_):
        if self.ended:
            return
        for lines, key in ((self.lines, name), (self.by_scenario, request_type)):
            line = lines.setdefault(key, Scenario())
            if exception is None:
                line.milliseconds.append(response_time)
                line.bars += context["bars"]
            elif isinstance(exception, Limited):
                line.limited += 1
            else:
                line.failures[str(exception) if isinstance(exception, Failed) else repr(exception)] += 1
                line.wrong += isinstance(exception, Wrong)

    def task_failed(self, exception, **_):
        """A fault of the test itself must not pass for a service that had nothing to do."""
        self.by_scenario.setdefault("the test itself", Scenario()).failures[repr(exception)] += 1
        self.lines.setdefault("the test itself", Scenario()).failures[repr(exception)] += 1

    def end(self):
        self.ended = time.monotonic()

    @property
    def seconds(self):
        return (self.ended or time.monotonic()) - self.began

    def total(self, what):
        return sum(what(line) for line in self.lines.values())


class Watch:
    """How busy the client's own thread is, second by second, and how late it comes to what it wants to do."""

    def __init__(self):
        self.cpu, self.late = [], []

    def run(self):
        process, began, used = psutil.Process(), time.monotonic(), seconds_of(psutil.Process())
        while True:
            worst = 0.0
            for _ in range(20):
                before = time.monotonic()
                gevent.sleep(0.05)
                worst = max(worst, time.monotonic() - before - 0.05)
            now, total = time.monotonic(), seconds_of(process)
            self.cpu.append((total - used) / (now - began))
            self.late.append(worst)
            began, used = now, total

    def is_bottleneck(self):
        """If it is too busy or too late in more than one second of ten."""
        bad = sum(cpu > BUSY or late > LATE for cpu, late in zip(self.cpu, self.late, strict=True))
        return bad * 10 > len(self.cpu)


def seconds_of(process):
    used = process.cpu_times()
    return used.user + used.system
