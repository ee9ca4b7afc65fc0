"""Does the promise hold when everything goes wrong? python -m tests.chaos, or make chaos.

Real servers and processes, 1,000 models due every minute, minutes that pass within seconds,
and a fault every few seconds: kills, stops, silent networks, full and slow servers, poison, junk.
Afterwards everything is healed, and each result is counted: one for each model and moment
that was sent, and each moment sent or counted as skipped. Variables: MINUTES (10), SEED (the
order of faults; random, and always printed), FAULTS (only those whose names hold one of these
words, which commas separate: junk, or none), LOSSES=1 (also lose data; counted by what is
promised then), SKEW (hours by which one worker's clock is off; by the seed -3 or 3).
"""

import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from core.results.keys import results_key
from devstack.process import wait_until
from tests.chaos import newcomers, report, scratch
from tests.chaos.clock import SETUP, Clock
from tests.chaos.evidence import MODELS, prepare
from tests.chaos.newcomers import Newcomers
from tests.chaos.quiet import wait_for_quiet
from tests.chaos.settings import Settings
from tests.chaos.stack import Stack, running
from tests.chaos.storm import Storm
from tests.chaos.verdict import judge
from tests.chaos.world import Fault, UnknownFault, selected
from tests.support.databases import run

LOGS = Path(".local/chaos")
POLL = 0.05  # seconds
STARTING = 60.0  # seconds
WARM_UP_TIMEOUT = 60.0  # seconds until workers have imported scikit-learn, and the first results are there
CALM = 12.0  # seconds without faults; they show how late results are on this machine
LAST_STEPS = 2
AFTER_A_STEP = 5.0  # seconds
PATIENCE = 300.0  # seconds until everything is done
PATIENCE_WITH_LOSSES = 420.0  # the scheduler looks for pairs that it lost every 5 minutes


def main() -> None:
    """Run, print, and exit with 0 only if all promises were kept."""
    settings = Settings.from_env()
    log_to(LOGS / f"{settings.seed}.log")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in the background without the first
        signal.signal(number, signal.default_int_handler)
    try:
        faults = selected(settings.faults, lose_data=settings.lose_data)
    except UnknownFault as error:
        sys.exit(str(error))
    print(f"SEED={settings.seed} MINUTES={settings.minutes:g} LOSSES={int(settings.lose_data)}", end=" ")
    print(f"FAULTS={settings.faults}", end=" ")
    print(f"SKEW={settings.skew:g}; log: {LOGS / settings.seed}.log", flush=True)
    try:
        outcome = trial(settings, faults)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    report.show(outcome)
    sys.exit(1 if outcome.failures else 0)


def trial(settings: Settings, faults: Sequence[Fault]) -> report.Outcome:
    started = monotonic()
    with ExitStack() as exits:
        stack = exits.enter_context(running(settings.rng("stack"), settings.skew))
        clock = Clock(stack.owner, settings.rng("clock"))
        storm = Storm(stack, clock, settings.rng("storm"), faults)
        arrivals = Newcomers(stack.owner, settings.rng("newcomers"))
        exits.callback(storm.heal)
        exits.callback(clock.stop)
        exits.callback(arrivals.stop)
        exits.callback(ignore_signals)  # cleaning up is not interrupted
        began, calm_since = begin(stack, clock)
        if not settings.lose_data:  # what is lost of a model that runs only once stays lost
            arrivals.start()
        deadline = monotonic() + 60 * settings.minutes
        while monotonic() < deadline:
            stack.tend()
            storm.go_on()
            sleep(POLL)
        arrivals.stop()
        clock.stop()
        storm.heal()
        is_quiet = calm(stack, clock, PATIENCE_WITH_LOSSES if settings.lose_data else PATIENCE)
        minutes = (monotonic() - started) / 60
        return judge(settings, storm, began, calm_since, is_quiet=is_quiet, minutes=minutes)


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def begin(stack: Stack, clock: Clock) -> tuple[datetime, datetime]:
    """Start everything, and the clock; return since when moments count, and the (real) begin of the calm."""
    stack.second_leader.wanted = False
    wait_for_services(stack)
    with stack.owner() as db:
        for statements in (SETUP, newcomers.SETUP, scratch.SETUP):
            run(db, statements)
        clock.step()
        began = prepare(db)
    wait_until(clock.step, seconds=STARTING, meanwhile=stack.tend)
    wait_until(lambda: count_results(stack) >= MODELS, seconds=WARM_UP_TIMEOUT, meanwhile=stack.tend)
    calm_since = datetime.now(UTC)
    clock.start()
    wait_until(lambda: False, seconds=CALM, meanwhile=stack.tend)
    return began, calm_since


def count_results(stack: Stack) -> int:
    with stack.client() as client:
        return sum(1 for _ in client.scan_iter(results_key("*"), count=1000))


def calm(stack: Stack, clock: Clock, patience: float) -> bool:
    """Let the system, now healed, pass its last minutes and finish; False if it does not."""
    wait_until(lambda: stack.is_postgres_there() and stack.is_redis_there(), seconds=STARTING, meanwhile=stack.tend)
    wait_for_services(stack)
    for _ in range(LAST_STEPS):
        wait_until(clock.step, seconds=STARTING, meanwhile=stack.tend)
        wait_until(lambda: False, seconds=AFTER_A_STEP, meanwhile=stack.tend)
    return wait_for_quiet(stack, patience)


def wait_for_services(stack: Stack) -> None:
    wanted = [service for service in stack.services if service.wanted]
    wait_until(lambda: all(service.process.alive for service in wanted), seconds=STARTING, meanwhile=stack.tend)


def log_to(path: Path) -> None:
    """Write what the processes and this program say to a file, and what this program says to the terminal too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)-13s | %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.getLogger("chaos").addHandler(terminal)


if __name__ == "__main__":
    main()
