"""How soon things go on after a failure, on the real clock: python -m tests.bench.outages [RUNS].

Real servers and processes with their default settings, models due every minute. First the
leader fails, again and again, on a machine that has nothing else to do; then, side by side,
each with servers and processes of its own, PostgreSQL and Redis are away for three minutes
and workers are killed in the middle of a batch. Prints how long each took, and ends with 1
where anything is missing or twice, or a process exited by itself.
"""

import os
import platform
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import TypeVar

import psycopg2
from celery import Celery

from local import redis as local_redis
from local.services import SCHEDULER, WORKER
from scheduler.broker import Broker
from scheduler.leadership import SESSION
from tests.bench.packet_loss import LossyProxy
from tests.bench.stack import Stack, running
from tests.databases import one, rows, run, wait_for
from tests.processes import Service
from tests.worker.conftest import big_batch, children, count
from worker.messages import Batch

T = TypeVar("T")

MODELS, LABELS = 200, 1000  # due every minute
MESSAGES = 2  # of 100 models, the default
LONG = 50_000  # labels of each model of a batch that takes some seconds
AWAY = 180  # seconds
CUT_RUNS = 2  # of the slow take-overs
MINUTE = timedelta(minutes=1)

KILLED, LOCKED, STOPPED, CUT_OFF = (
    f"take-over after {what}"
    for what in ("kill -9", "kill -9 in a wait for a lock", "SIGSTOP", "the network fell silent")
)
OUTAGES = [(server, how) for server in ("PostgreSQL", "Redis") for how in ("silent", "stopped")]
LOOK, LAST_RESULT = "first look", "last result of the catch-up"
BATCH = "batch of a killed worker: last result"
BARS = {  # seconds, in the order of the table
    KILLED: 2, LOCKED: 2, STOPPED: 15, CUT_OFF: 15,
    **{
        f"{server} {how} for {AWAY} s: {what}": bar
        for server, how in OUTAGES for what, bar in ((LOOK, 5), (LAST_RESULT, None))
    },
    BATCH: 180,
}  # fmt: skip

WAITS_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity JOIN leader ON application_name = %s || name WHERE wait_event_type = 'Lock'
"""
# A leader that lost its session is a new one: what the old one had under way may still reach PostgreSQL.
LOOKED_AT = """
    SELECT extract(epoch FROM looked_at)::float8 FROM leader
    WHERE looked_at > to_timestamp(%s) AND error IS NULL AND (since > to_timestamp(%s) OR NOT %s)
"""
FIRES = "SELECT due_at, fired_at IS NOT NULL, models, messages, skipped FROM fires ORDER BY due_at"


class Missing(Exception):
    """Something did not come in time; the message says what."""


@dataclass
class Report:
    """What a scenario found."""

    name: str
    figures: list[tuple[str, float]] = field(default_factory=list)  # what, and seconds
    faults: list[str] = field(default_factory=list)  # missing, twice, or exited
    watched: int = 0  # processes


def main() -> None:
    """Run the bench, each of the quick take-overs several times (5 unless told)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    # A process for each scenario: ours start from its main thread, and no measurement waits for another's.
    with ProcessPoolExecutor(len(OUTAGES) + 2, mp_context=get_context("spawn")) as processes:
        reports = [processes.submit(tried, take_overs, runs).result()]
        side_by_side = [
            processes.submit(tried, outage, server, how, 10 * place) for place, (server, how) in enumerate(OUTAGES, 1)
        ]
        side_by_side += [processes.submit(tried, killed_worker, number) for number in (1, 2)]
        reports += [report.result() for report in side_by_side]
    print(f"\nload after {os.getloadavg()[0]:.1f}")
    print_table([figure for report in reports for figure in report.figures])
    faults = [f"{report.name}: {fault}" for report in reports for fault in report.faults]
    print(f"\n{sum(report.watched for report in reports)} processes watched;", end=" ")
    print("\n    ".join(["FAULTS:", *faults]) if faults else "none exited by itself; nothing is missing or twice")
    sys.exit(bool(faults))


def print_table(figures: Sequence[tuple[str, float]]) -> None:
    print(f"\n{'seconds to':56} {'bar':>5} {'median':>8} {'worst':>8} {'runs':>5}")
    for what, bar in BARS.items():
        took = [seconds for name, seconds in figures if name == what]
        median, worst = (f"{function(took):.2f}" if took else "-" for function in (statistics.median, max))
        above = "  above its bar" if bar and took and max(took) > bar else ""
        print(f"{what:56} {bar or '-':>5} {median:>8} {worst:>8} {len(took):5}{above}")


def tried(scenario: Callable[..., None], *arguments: object) -> Report:
    """Return the report of a scenario, which is given a stack, the report, and the arguments."""
    report = Report(" ".join(map(str, [scenario.__name__.replace("_", " "), *arguments])))
    with running() as stack:
        try:
            scenario(stack, report, *arguments)
        except Missing as fault:
            report.faults.append(str(fault))
        report.faults += stack.exits()
        report.watched += stack.watched
        if report.faults:
            print(f"\n{report.name}: {report.faults}\n{stack.last_words()}\n", flush=True)
    return report


def expect(what: str, look: Callable[[], T | None], seconds: float = 60) -> T:
    """Look until there is something, and return it; raises Missing."""
    try:
        found = wait_for(look, seconds)
    except AssertionError as error:
        raise Missing(f"{what}: {error}") from None
    assert found is not None
    return found


def timed(do: Callable[[], object], what: str, look: Callable[[], object], seconds: float = 60) -> float:
    """Return how many seconds it takes from the beginning of a deed until there is something."""
    began = time.monotonic()
    do()
    expect(what, look, seconds)
    return time.monotonic() - began


# The leader fails


def take_overs(stack: Stack, report: Report, runs: int) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
    print(f"PostgreSQL {one(stack.db, 'SHOW server_version')},", end=" ")
    engine = local_redis.find_engine()
    print(f"{engine.name} {'.'.join(map(str, engine.version))}; {MODELS} models due every minute;", end=" ")
    print(f"load before {os.getloadavg()[0]:.1f}\n", flush=True)
    ids = big_batch(stack.db, MODELS, LABELS)
    stack.start("worker", WORKER)
    pair = [stack.start(f"scheduler {number}", SCHEDULER) for number in (1, 2)]
    report.figures += [(KILLED, killed(stack, pair)) for _ in range(runs)]
    report.figures += [(LOCKED, killed_in_a_wait(stack, pair)) for _ in range(runs)]
    report.figures += [(STOPPED, stopped(stack, pair)) for _ in range(CUT_RUNS)]
    for scheduler in pair:
        if code := scheduler.stop():
            report.faults.append(f"a scheduler ended with {code} at SIGTERM")
        stack.forget(scheduler)
    url = stack.databases.server.url
    with LossyProxy(url) as one_network, LossyProxy(url) as other_network:
        networks = {
            stack.start(f"scheduler {number}", SCHEDULER, database_url=network.url): network
            for number, network in enumerate((one_network, other_network), 3)
        }
        report.figures += [(CUT_OFF, cut_off(stack, networks)) for _ in range(CUT_RUNS)]
        roles(stack, list(networks))
        report.faults += stack.exits()  # before the proxies end
        check_every_minute(stack, report, ids)


def roles(stack: Stack, pair: Sequence[Service]) -> tuple[Service, Service]:
    """Return the leader and its standby, some time after both have a session."""

    def found() -> tuple[Service, Service] | None:
        sessions = rows(stack.db, "SELECT application_name FROM pg_stat_activity")
        connected = [each for each in pair if any(name.endswith(f":{each.popen.pid}") for (name,) in sessions)]
        leaders = [each for each in pair if leads(stack, each)]
        if len(connected) < 2 or not leaders:
            return None
        [standby] = [each for each in pair if each is not leaders[0]]
        return leaders[0], standby

    both = expect("a leader and a standby", found)
    time.sleep(random.uniform(0.5, 2.5))  # whatever each of them does periodically
    return both


def leads(stack: Stack, scheduler: Service) -> bool:
    return (one(stack.db, "SELECT name FROM leader") or "").endswith(f":{scheduler.popen.pid}")


def killed(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    took = timed(leader.kill, KILLED, lambda: leads(stack, standby))
    leader.start()
    return took


def killed_in_a_wait(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    with closing(psycopg2.connect(stack.databases.server.url)) as user:
        run(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        expect("a leader that waits for a lock", lambda: one(stack.db, WAITS_FOR_A_LOCK, SESSION))
        time.sleep(random.uniform(0, 1))
        took = timed(leader.kill, LOCKED, lambda: leads(stack, standby))
    leader.start()
    return took


def stopped(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    took = timed(lambda: leader.popen.send_signal(signal.SIGSTOP), STOPPED, lambda: leads(stack, standby))
    leader.popen.send_signal(signal.SIGCONT)
    return took


def cut_off(stack: Stack, networks: dict[Service, LossyProxy]) -> float:
    leader, standby = roles(stack, list(networks))
    took = timed(networks[leader].silence, CUT_OFF, lambda: leads(stack, standby))
    networks[leader].resume()
    return took


def check_every_minute(stack: Stack, report: Report, ids: Sequence[str]) -> None:
    """No take-over may have cost a moment, and none a second result."""
    last = this_minute()
    expect(f"the results of {last:%H:%M}", lambda: stack.has_results(ids, last))
    expect("an end of all messages", lambda: not stack.left_messages(), 20)
    first = one(stack.db, "SELECT min(due_at) FROM fires")
    moments = [first + MINUTE * number for number in range((last - first) // MINUTE + 1)]
    if skipped := one(stack.db, "SELECT sum(skipped) FROM fires"):
        report.faults.append(f"{skipped} moments are skipped")
    report.faults += stack.wrong_results(ids, moments)


# A server is away


def outage(stack: Stack, report: Report, server: str, how: str, second: int) -> None:
    """From this second of a minute on."""
    what = f"{server} {how} for {AWAY} s"
    ids = big_batch(stack.db, MODELS, LABELS)
    with LossyProxy(stack.databases.server.url if server == "PostgreSQL" else stack.queue.url) as network:
        urls = {"database_url" if server == "PostgreSQL" else "redis_url": network.url} if how == "silent" else {}
        worker = stack.start("worker", WORKER, **urls)
        stack.start("scheduler", SCHEDULER, **urls)
        before = expect("a fire", lambda: one(stack.db, "SELECT min(due_at) FROM fires"), 90)
        expect("results before the outage", lambda: stack.has_results(ids, before))
        sleep_until(before + timedelta(seconds=second))
        messages = worker.output.count("] received")

        go_away, come_back = deeds(stack, server, network, how)
        go_away()
        sleep_until(before + timedelta(seconds=second + AWAY))
        back_at = time.time()
        come_back()

        stack.db = stack.connect()
        report.figures.append((f"{what}: {LOOK}", first_look(stack, server, back_at) - back_at))
        catch_up = this_minute()
        expect("results of the catch-up", lambda: stack.has_results(ids, catch_up), 200)
        report.figures.append((f"{what}: {LAST_RESULT}", time.time() - back_at))
        regular = this_minute() + MINUTE
        expect("results of the next minute", lambda: stack.has_results(ids, regular), 90)
        expect("an end of all messages", lambda: not stack.left_messages(), 20)

        missed = (catch_up - before) // MINUTE
        sent = [catch_up + MINUTE * number for number in range((regular - catch_up) // MINUTE + 1)]
        fires = rows(stack.db, FIRES)[1:]
        messages = worker.output.count("] received") - messages
        told = ", ".join(
            f"{due_at:%H:%M} in {number} messages ({skipped} skipped)" for due_at, _, _, number, skipped in fires
        )
        print(f"{what}: {missed} moments missed; sent: {told}; the worker took {messages} messages", flush=True)
        expected = [(moment, True, MODELS, MESSAGES, missed - 1 if moment == catch_up else 0) for moment in sent]
        if fires != expected:
            report.faults.append(f"fires are {fires}, not {expected}")
        if messages != MESSAGES * len(sent):
            report.faults.append(f"the worker took {messages} messages, not {MESSAGES * len(sent)}")
        report.faults += stack.wrong_results(ids, [before, *sent])
        report.faults += stack.exits()  # before the proxy ends


def deeds(stack: Stack, server: str, network: LossyProxy, how: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what lets a server go away, and what brings it back."""
    if how == "silent":
        return network.silence, network.resume
    if server == "PostgreSQL":
        return stack.databases.server.process.stop, stack.databases.restart
    return stack.queue.process.kill, stack.queue.process.start


def first_look(stack: Stack, server: str, back_at: float) -> float:
    """Return when a leader first looked again and found nothing in its way."""

    def looked_at() -> float | None:
        found = rows(stack.db, LOOKED_AT, back_at, back_at, server == "PostgreSQL")
        return found[0][0] if found else None

    return expect("a look", looked_at)


# A worker is killed


def killed_worker(stack: Stack, report: Report, number: int) -> None:
    ids = big_batch(stack.db, 100, LONG)
    workers = [stack.start(f"worker {place}", WORKER) for place in (1, 2)]
    due_at = this_minute()
    with Celery(broker=stack.queue.url) as app:
        Broker(app, stack.client).send(Batch(ids, due_at).message(due_at))
    victim = expect("a worker", lambda: next((each for each in workers if "] received" in each.output), None))
    expect("first results", lambda: count(stack.client))
    stack.forget(victim)

    def kill() -> None:
        pool = children(victim)
        victim.kill()  # first, or it would say what became of its pool
        for child in pool:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    seconds = timed(kill, "results of the batch", lambda: stack.has_results(ids, due_at), 300)
    report.figures.append((BATCH, seconds))
    expect("an end of all messages", lambda: not stack.left_messages(), 20)
    report.faults += stack.wrong_results(ids, [due_at])
    print(f"killed worker {number}: {len(ids)} results {seconds:.1f} s after", flush=True)


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


if __name__ == "__main__":
    main()
