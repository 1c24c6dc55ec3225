"""Runs it: `run` beside this package starts it with what it needs installed."""

import sys

from gevent import monkey

monkey.patch_all()

import signal

import gevent
import gevent.event
from locust.env import Environment

from . import report, sessions, users
from .client import Failed
from .measured import Measured, Watch
from .options import parse
from .world import World

USERS = [
    users.Single,
    users.Columns,
    users.Lines,
    users.Arrow,
    sessions.Session,
    sessions.Socket,
    users.Author,
    users.Mistakes,
]


def main():
    options = parse(sys.argv[1:])
    chosen = [user for user in USERS if user.scenario in options.scenarios]
    for user in chosen:
        user.weight = options.scenarios[user.scenario]
    world = users.RuleboxUser.world = World(options)
    world.prepare()
    try:
        world.upload()
    except Failed as error:
        print(f"run: nothing was measured: the rules of the test cannot be uploaded: {error}", file=sys.stderr)
        clean(world)
        return 1
    for user in chosen:
        world.warm_up(user.bodies(world))
    environment = Environment(user_classes=chosen, catch_exceptions=True)
    measured, watch = Measured(), Watch()
    environment.events.request.add_listener(measured.request)
    environment.events.user_error.add_listener(measured.task_failed)
    runner = environment.create_local_runner()
    # All are there within two seconds, whatever their number.
    runner.start(options.users, spawn_rate=max(1, options.users / 2))
    watching = gevent.spawn(watch.run)
    stop = gevent.event.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop.set)
    cut = stop.wait(options.seconds)
    watching.kill()
    # What is still under way is cut off and not counted.
    measured.end()
    runner.quit()
    left = clean(world)
    missed = report.judged(measured, options)
    if cut:
        missed.append("it was stopped before its end")
    report.show(measured, watch, options)
    report.write(measured, watch, options, missed)
    for what in missed:
        print(f"MISSED: {what}")
    return 1 if missed or left else 0


def clean(world):
    """Archives what was made."""
    left = world.archive()
    for what in left:
        print(f"run: left behind: {what}", file=sys.stderr)
    return left


if __name__ == "__main__":
    sys.exit(main())
