"""Make the values that the built-ins of the rule language are held against.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install -r requirements.txt
    /tmp/reference/bin/python make_reference.py            # write real.csv and hard.csv beside this script
    /tmp/reference/bin/python make_reference.py --check    # compare with them; exit 1 if they differ

Where the values come from:

- real.csv, the first 500 bars of the demo's daily account: TA-Lib 0.8.2 for sum sma ema rsi stdev highest lowest atr.
- hard.csv, a walk made to be hard: TA-Lib only for ema, highest, lowest and atr. Its SUM, SMA and STDDEV slide a running
  sum, which keeps a residue once large values have left the window, and its RSI of a flat series is 0 where the
  language says 50; there the values are `math.fsum` and two passes over each window, and `wilder` below.
- On both: pandas for windows with a minimum, count, the sample deviation, cum_max, cum_min, cum_sum and streak; rma,
  which TA-Lib does not have, is pandas' `ewm(alpha=1/n, adjust=False)` started from the mean of the first n values.

On the real bars the script also asserts that its own formulas give what TA-Lib gives, so that hard.csv rests on it too.
"""

import argparse
import math
import pathlib
import random
import sys

import numpy as np
import pandas as pd
import talib

HERE = pathlib.Path(__file__).parent
BARS = HERE.parents[2] / "executor" / "demo" / "goog_daily.csv"
ROWS = 500


def hard_bars():
    """Flat, then ordinary, far from zero with little noise, around zero, tiny, and with jumps of nine orders."""
    draw = random.Random(20)
    close = [37.5] * 40
    close += [round(100 + draw.gauss(0, 5), 6) for _ in range(80)]
    close += [round(1e9 + draw.gauss(0, 1), 6) for _ in range(80)]
    close += [round(draw.gauss(0, 1), 6) for _ in range(80)]
    close += [round(draw.random() * 1e-6, 12) for _ in range(60)]
    close += [float(draw.choice([1, 2, 3])) for _ in range(60)]
    close += [round(math.exp(draw.uniform(-7, 14)), 6) for _ in range(100)]
    spread = [(draw.random(), draw.random()) for _ in close]
    high = [round(c + abs(c) * 0.03 * up, 12) if i >= 40 else c for i, (c, (up, _)) in enumerate(zip(close, spread))]
    low = [round(c - abs(c) * 0.03 * down, 12) if i >= 40 else c for i, (c, (_, down)) in enumerate(zip(close, spread))]
    return pd.DataFrame(dict(high=high, low=low, close=close))


def windows(x, n, fold, least=None):
    """`fold` over the last n values, fresh for each bar; missing below `least` of them."""
    least = n if least is None else least
    return pd.Series([fold(x[max(0, i + 1 - n) : i + 1]) if i + 1 >= least else math.nan for i in range(len(x))])


def total(window):
    return math.fsum(window)


def mean(window):
    return math.fsum(window) / len(window)


def deviation(window, less=0):
    centre = mean(window)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in window) / (len(window) - less))


def wilder(x, n):
    """Wilder's mean: the mean of the first n values, then pandas' recursion; values before are missing."""
    x = pd.Series(x)
    first = x.first_valid_index() + n - 1
    seeded = x.copy()
    seeded[:first] = math.nan
    seeded[first] = mean(x[first - n + 1 : first + 1])
    return seeded.ewm(alpha=1 / n, adjust=False).mean()


def relative_strength(x, n):
    change = pd.Series(x).diff()
    gain, loss = wilder(change.clip(lower=0), n), wilder((-change).clip(lower=0), n)
    moved = gain + loss
    return (100 * gain / moved.where(moved != 0)).where(moved != 0, 50).where(moved.notna())


def reference(bars, real):
    high, low, close = (bars[name].to_numpy(float) for name in ("high", "low", "close"))
    series = pd.Series(close)
    above = pd.Series(close > low * 1.01)
    out = bars[["high", "low", "close"]].copy()

    def column(name, value, independent=None):
        value = pd.Series(np.asarray(value, float))
        if real and independent is not None:
            np.testing.assert_allclose(value, independent, rtol=1e-10, err_msg=name)
        out[name] = value if real or independent is None else independent

    column("sum_5", talib.SUM(close, 5), windows(close, 5, total))
    column("sum_20_min_1", windows(close, 20, total, 1))
    column("sma_14", talib.SMA(close, 14), windows(close, 14, mean))
    column("sma_20_min_3", windows(close, 20, mean, 3))
    column("ema_5", talib.EMA(close, 5))
    column("ema_14", talib.EMA(close, 14))
    column("rma_14", wilder(close, 14))
    column("rsi_3", talib.RSI(close, 3), relative_strength(close, 3))
    column("rsi_14", talib.RSI(close, 14), relative_strength(close, 14))
    column("stdev_5", talib.STDDEV(close, 5), windows(close, 5, deviation))
    column("stdev_20", talib.STDDEV(close, 20), windows(close, 20, deviation))
    sample = windows(close, 20, lambda window: deviation(window, 1))
    column("stdev_20_sample", series.rolling(20).std() if real else sample)
    column("highest_14", talib.MAX(high, 14))
    column("lowest_14", talib.MIN(low, 14))
    column("highest_9_min_1", series.rolling(9, min_periods=1).max())
    column("count_10", above.rolling(10).sum())
    column("atr_5", talib.ATR(high, low, close, 5))
    column("atr_14", talib.ATR(high, low, close, 14))
    column("cum_max", pd.Series(high).cummax())
    column("cum_min", pd.Series(low).cummin())
    column("cum_sum", series.cumsum())
    run = (~above).cumsum()
    column("streak", above.groupby(run).cumsum())
    since = pd.Series(range(len(close))) - pd.Series(range(len(close))).where(above).ffill()
    column("bars_since", since)
    return out


def text(table):
    """Inputs with all their digits; values with 13, which is far more than is compared."""
    lines = [",".join(table.columns)]
    for row in table.itertuples(index=False):
        inputs, values = row[:3], row[3:]
        cells = [repr(float(v)) for v in inputs] + ["" if math.isnan(v) else f"{v:.13g}" for v in values]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    differs = False
    made = dict(real=reference(pd.read_csv(BARS).head(ROWS), True), hard=reference(hard_bars(), False))
    for name, table in made.items():
        path = HERE / f"{name}.csv"
        if not check:
            path.write_text(text(table))
        elif not path.exists() or path.read_text() != text(table):
            print(f"{path.name} is not what this script makes", file=sys.stderr)
            differs = True
    sys.exit(differs)


if __name__ == "__main__":
    main()
