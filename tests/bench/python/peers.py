"""Runs rules over rows, when it is asked to: one request a line, `KIND NAME BARS`.

Each is answered by a line with the nanoseconds that a bar took, and the verdicts of the bars, one byte each. The file
of rows, the argument, has the column of equities and that of drawdowns, in doubles.
"""

import collections
import sys
import time

import numpy

OK, WARN, BREACH, FAULT = range(4)


def plain_r1():
    def rule(equity, drawdown):
        return BREACH if drawdown > 0.2 or equity < 50000 else OK

    return rule


def plain_r2():
    peak, before, rising = float("-inf"), float("inf"), 0

    def rule(equity, drawdown):
        nonlocal peak, before, rising
        if equity > peak:
            peak = equity
        rising = rising + 1 if drawdown > before else 0
        before = drawdown
        return BREACH if peak - equity > peak * 0.15 or rising >= 3 else OK

    return rule


def plain_r3():
    window = collections.deque(maxlen=20)

    def rule(equity, _):
        window.append(equity)
        mean = sum(window) / 20 if len(window) == 20 else 0
        return BREACH if equity < mean * 0.95 else OK

    return rule


def plain_r4():
    def rule(equity, drawdown):
        if not (0 <= equity <= 1e15 and 0 <= drawdown <= 1):
            return FAULT
        if drawdown >= 0.1:
            return BREACH
        return WARN if drawdown >= 0.08 else OK

    return rule


def breaches(condition):
    """Verdicts where this is true, of an array of bools: a byte each, 0 or 1."""
    return condition.view(numpy.uint8) * numpy.uint8(BREACH)


def numpy_r1(equity, drawdown):
    return breaches((drawdown > 0.2) | (equity < 50000))


def numpy_r2(equity, drawdown):
    peak = numpy.maximum.accumulate(equity)
    rises = drawdown[1:] > drawdown[:-1]
    breach = peak - equity > peak * 0.15
    breach[3:] |= rises[2:] & rises[1:-1] & rises[:-2]
    return breaches(breach)


def below_mean(equity, mean):
    breach = numpy.zeros(len(equity), dtype=bool)
    numpy.less(equity[19:], mean * 0.95, out=breach[19:])
    return breaches(breach)


def numpy_r3(equity, _):
    """By differences of one running sum, which drift."""
    total = numpy.cumsum(equity)
    sums = total[19:].copy()
    sums[1:] -= total[:-20]
    sums /= 20
    return below_mean(equity, sums)


def numpy_r3_windows(equity, _):
    return below_mean(equity, numpy.lib.stride_tricks.sliding_window_view(equity, 20).mean(axis=1))


def numpy_r4(equity, drawdown):
    verdicts = (drawdown >= 0.08).view(numpy.uint8) + (drawdown >= 0.1).view(numpy.uint8)
    verdicts[~((equity >= 0) & (equity <= 1e15) & (drawdown >= 0) & (drawdown <= 1))] = FAULT
    return verdicts


PLAIN = {"R1": plain_r1, "R2": plain_r2, "R3": plain_r3, "R4": plain_r4}
NUMPY = {"R1": numpy_r1, "R2": numpy_r2, "R3": numpy_r3, "R3-windows": numpy_r3_windows, "R4": numpy_r4}


def run_plain(name, equity, drawdown):
    equity, drawdown = equity.tolist(), drawdown.tolist()
    began = time.perf_counter_ns()
    rule = PLAIN[name]()
    verdicts = [rule(*bar) for bar in zip(equity, drawdown)]
    return time.perf_counter_ns() - began, bytes(verdicts)


def run_numpy(name, equity, drawdown):
    began = time.perf_counter_ns()
    verdicts = NUMPY[name](equity, drawdown)
    return time.perf_counter_ns() - began, verdicts.tobytes()


def main():
    columns = numpy.fromfile(sys.argv[1], dtype=numpy.float64)
    equity, drawdown = columns.reshape(2, -1)
    for line in sys.stdin:
        kind, name, bars = line.split()
        bars = int(bars)
        run = run_numpy if kind == "numpy" else run_plain
        took, verdicts = run(name, equity[:bars], drawdown[:bars])
        sys.stdout.buffer.write(f"{took / bars}\n".encode() + verdicts)
        sys.stdout.buffer.flush()


main()
