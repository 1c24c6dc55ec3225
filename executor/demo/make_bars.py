"""Make the demo's account bars: one strategy, run by `backtesting` over the prices that it ships with.

    python -m venv /tmp/bars && /tmp/bars/bin/pip install -r requirements.txt
    /tmp/bars/bin/python make_bars.py            # write the CSV files beside this script
    /tmp/bars/bin/python make_bars.py --check    # compare with them; exit 1 if they differ
"""

import argparse
import math
import pathlib
import sys
import warnings

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.test import EURUSD, GOOG

HERE = pathlib.Path(__file__).parent
CASH = 100_000


class Breakout(Strategy):
    """Buy a new high of `entry` bars, sell a new low; leave by a stop of `stop` true ranges or a `leave`-bar extreme."""

    entry = 20
    leave = 10
    stop = 2.0
    risk = 0.02
    leverage = 2.0

    def init(self):
        high, low, close = (pd.Series(self.data[name]) for name in ("High", "Low", "Close"))
        before = close.shift(1)
        true_range = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)
        self.range = self.I(lambda: true_range.rolling(self.entry).mean(), name="range")
        self.top = self.I(lambda: high.rolling(self.entry).max().shift(1), name="top")
        self.bottom = self.I(lambda: low.rolling(self.entry).min().shift(1), name="bottom")
        self.long_exit = self.I(lambda: low.rolling(self.leave).min().shift(1), name="long exit")
        self.short_exit = self.I(lambda: high.rolling(self.leave).max().shift(1), name="short exit")

    def next(self):
        close = self.data.Close[-1]
        if self.position.is_long and close < self.long_exit[-1]:
            self.position.close()
        elif self.position.is_short and close > self.short_exit[-1]:
            self.position.close()
        if self.position:
            return
        distance = self.stop * self.range[-1]
        # Size so that the stop loses `risk` of the equity, within the leverage that the broker gives.
        size = min(self.equity * self.risk / distance, 0.95 * self.equity * self.leverage / close)
        size = math.floor(size)
        if size < 1:
            return
        if close > self.top[-1]:
            self.buy(size=size, sl=close - distance)
        elif close < self.bottom[-1]:
            self.sell(size=size, sl=close + distance)


def run(prices, leverage, commission, risk):
    """The account after every bar, as the broker of `backtesting` kept it."""
    test = Backtest(prices, Breakout, cash=CASH, margin=1 / leverage, commission=commission, finalize_trades=True)
    with warnings.catch_warnings():
        # An order that the broker refuses is a mistake in the sizes above.
        warnings.filterwarnings("error", message=".*Broker canceled")
        stats = test.run(leverage=leverage, risk=risk)

    bars = pd.DataFrame(index=range(len(prices)))
    bars["equity"] = stats["_equity_curve"]["Equity"].to_numpy()
    for name in ("Open", "High", "Low", "Close"):
        bars[name.lower()] = prices[name].to_numpy()
    for name in ("position", "unrealized", "closed_profit"):
        bars[name] = 0.0
    for name in ("entries", "trades", "losing_trades", "stop_exits"):
        bars[name] = 0
    last = len(bars) - 1
    for trade in stats["_trades"].itertuples():
        # The broker logs equity at the close, so a trade counts as open from its entry bar to the bar before its exit.
        held = slice(trade.EntryBar, trade.ExitBar - 1)
        bars.loc[held, "position"] += trade.Size
        bars.loc[held, "unrealized"] += trade.Size * (bars.loc[held, "close"] - trade.EntryPrice)
        bars.loc[trade.EntryBar, "entries"] += 1
        bars.loc[trade.ExitBar, "closed_profit"] += trade.PnL
        bars.loc[trade.ExitBar, "trades"] += 1
        bars.loc[trade.ExitBar, "losing_trades"] += int(trade.PnL < 0)
        stopped = pd.notna(trade.SL) and (trade.SL - trade.ExitPrice) * trade.Size >= 0 and trade.ExitBar < last
        bars.loc[trade.ExitBar, "stop_exits"] += int(stopped)
    return bars


def finish(bars, times, digits):
    """The columns of the file, rounded as they are written, so that each agrees with the others as read."""
    bars["equity"] = bars["equity"].round(2)
    bars["balance"] = (bars["equity"] - bars["unrealized"]).round(2)
    bars["closed_profit"] = bars["closed_profit"].round(2)
    peak = bars["equity"].cummax()
    bars["drawdown"] = ((peak - bars["equity"]) / peak).round(6)
    bars["exposure"] = (bars["position"].abs() * bars["close"] / bars["equity"]).round(6)
    bars["position"] = bars["position"].astype(int)
    bars["index"] = bars["close"]
    bars["time"] = times.strftime("%Y-%m-%dT%H:%M:%SZ")
    columns = "time equity drawdown balance open high low close index position exposure"
    columns += " entries trades losing_trades stop_exits closed_profit"
    decimals = dict(equity=2, balance=2, closed_profit=2, drawdown=6, exposure=6)
    decimals |= dict.fromkeys(("open", "high", "low", "close", "index"), digits)
    text = pd.DataFrame()
    for name in columns.split():
        fixed = decimals.get(name)
        # `+ 0.0` turns -0.0 into 0.0, which would be written with its sign.
        text[name] = bars[name] if fixed is None else [f"{value + 0.0:.{fixed}f}" for value in bars[name]]
    return text.to_csv(index=False, lineterminator="\n")


def goog_daily():
    bars = run(GOOG, leverage=4, commission=0.0005, risk=0.03)
    # The prices carry dates alone; a daily bar ends when the exchange closes.
    closes = (GOOG.index + pd.Timedelta(hours=16)).tz_localize("America/New_York").tz_convert("UTC")
    return finish(bars, closes, 2)


def eurusd_hourly():
    bars = run(EURUSD, leverage=30, commission=0.00002, risk=0.015)
    # Stamped by the source with the hour's beginning, in UTC; an account's bar is known when the hour ends.
    return finish(bars, (EURUSD.index + pd.Timedelta(hours=1)).tz_localize("UTC"), 5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    differs = False
    for make in (goog_daily, eurusd_hourly):
        path, text = HERE / f"{make.__name__}.csv", make()
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} is not what this script makes", file=sys.stderr)
            differs = True
    sys.exit(differs)


if __name__ == "__main__":
    main()
