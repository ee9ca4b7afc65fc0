"""How soon a standby leads after the leader has failed, in one way or another."""

import os
import platform
import random
import signal
import time
from collections.abc import Sequence
from contextlib import closing

import psycopg2

from benchmarks.packet_loss import LossyProxy
from benchmarks.report import LABELS, MINUTE, MODELS, Report, expect, this_minute, timed
from benchmarks.stack import Stack
from core.leader_lock import APPLICATION_NAME
from devstack import redis as local_redis
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import one, rows, run
from tests.support.processes import Service, is_leader
from tests.support.workers import insert_large_batch

SLOW_RUNS = 2
KILLED, LOCKED, STOPPED, CUT_OFF = (
    f"take-over after {what}"
    for what in ("kill -9", "kill -9 in a wait for a lock", "SIGSTOP", "the network fell silent")
)
BARS = {KILLED: 2, LOCKED: 2, STOPPED: 15, CUT_OFF: 15}  # seconds

WAITS_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity JOIN leader ON application_name = %s || name WHERE wait_event_type = 'Lock'
"""


def take_overs(stack: Stack, report: Report, runs: int) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
    print(f"PostgreSQL {one(stack.db, 'SHOW server_version')},", end=" ")
    engine = local_redis.find_engine()
    print(f"{engine.name} {'.'.join(map(str, engine.version))}; {MODELS} models due every minute;", end=" ")
    print(f"load before {os.getloadavg()[0]:.1f}\n", flush=True)
    ids = insert_large_batch(stack.db, MODELS, LABELS)
    stack.start("worker", WORKER)
    pair = [stack.start(f"scheduler {number}", SCHEDULER) for number in (1, 2)]
    report.figures += [(KILLED, killed(stack, pair)) for _ in range(runs)]
    report.figures += [(LOCKED, killed_in_a_wait(stack, pair)) for _ in range(runs)]
    report.figures += [(STOPPED, stopped(stack, pair)) for _ in range(SLOW_RUNS)]
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
        report.figures += [(CUT_OFF, cut_off(stack, networks)) for _ in range(SLOW_RUNS)]
        roles(stack, list(networks))
        report.faults += stack.exits()  # before the proxies end
        check_every_minute(stack, report, ids)


def roles(stack: Stack, pair: Sequence[Service]) -> tuple[Service, Service]:
    """Return the leader and its standby, some time after both have a session."""

    def found() -> tuple[Service, Service] | None:
        sessions = rows(stack.db, "SELECT application_name FROM pg_stat_activity")
        connected = [each for each in pair if any(name.endswith(f":{each.popen.pid}") for (name,) in sessions)]
        leaders = [each for each in pair if is_leader(stack.db, each)]
        if len(connected) < 2 or not leaders:
            return None
        [standby] = [each for each in pair if each is not leaders[0]]
        return leaders[0], standby

    both = expect("a leader and a standby", found)
    time.sleep(random.uniform(0.5, 2.5))  # whatever each of them does periodically
    return both


def killed(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    took = timed(leader.kill, KILLED, lambda: is_leader(stack.db, standby))
    leader.start()
    return took


def killed_in_a_wait(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    with closing(psycopg2.connect(stack.databases.server.url)) as user:
        run(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        expect("a leader that waits for a lock", lambda: one(stack.db, WAITS_FOR_A_LOCK, APPLICATION_NAME))
        time.sleep(random.uniform(0, 1))
        took = timed(leader.kill, LOCKED, lambda: is_leader(stack.db, standby))
    leader.start()
    return took


def stopped(stack: Stack, pair: Sequence[Service]) -> float:
    leader, standby = roles(stack, pair)
    took = timed(lambda: leader.popen.send_signal(signal.SIGSTOP), STOPPED, lambda: is_leader(stack.db, standby))
    leader.popen.send_signal(signal.SIGCONT)
    return took


def cut_off(stack: Stack, networks: dict[Service, LossyProxy]) -> float:
    leader, standby = roles(stack, list(networks))
    took = timed(networks[leader].silence, CUT_OFF, lambda: is_leader(stack.db, standby))
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
