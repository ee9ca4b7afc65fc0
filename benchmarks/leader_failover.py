"""Failover time from a leader that fails in one of several ways to its standby."""

import os
import platform
import random
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import psycopg2

from benchmarks.packet_loss import LossyProxy
from benchmarks.scenario_report import LABELS, MINUTE, MODELS, ScenarioReport, current_minute, expect, measure
from benchmarks.stack import Stack
from core.leader_lock import APPLICATION_NAME
from devstack import redis as local_redis
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import execute, fetch_all, fetch_value
from tests.support.processes import Service, is_leader
from tests.support.workers import insert_large_batch

SLOW_RUNS = 2
KILLED, KILLED_WAITING, STOPPED, CUT_OFF = (
    f"failover after {failure}"
    for failure in ("kill -9", "kill -9 in a wait for a lock", "SIGSTOP", "the network fell silent")
)
LIMITS = {KILLED: 2, KILLED_WAITING: 2, STOPPED: 15, CUT_OFF: 15}  # seconds

WAITING_LEADERS = """
    SELECT count(*) FROM pg_stat_activity JOIN leader ON application_name = %s || name WHERE wait_event_type = 'Lock'
"""


class Roles(NamedTuple):
    """Two schedulers by their roles."""

    leader: Service
    standby: Service


def leader_failover(stack: Stack, report: ScenarioReport, runs: int) -> None:
    print_environment(stack)
    model_ids = insert_large_batch(stack.db, MODELS, LABELS)
    stack.start("worker", WORKER)
    schedulers = [stack.start(f"scheduler {number}", SCHEDULER) for number in (1, 2)]
    for _ in range(runs):
        report.add(KILLED, kill_leader(stack, schedulers))
    for _ in range(runs):
        report.add(KILLED_WAITING, kill_waiting_leader(stack, schedulers))
    for _ in range(SLOW_RUNS):
        report.add(STOPPED, stop_leader(stack, schedulers))
    for scheduler in schedulers:
        if exit_code := scheduler.stop():
            report.defects.append(f"a scheduler exited with {exit_code} after SIGTERM")
        stack.unwatch(scheduler)
    url = stack.databases.server.url
    with LossyProxy(url) as first_network, LossyProxy(url) as second_network:
        networks = {
            stack.start(f"scheduler {number}", SCHEDULER, database_url=network.url): network
            for number, network in enumerate((first_network, second_network), 3)
        }
        for _ in range(SLOW_RUNS):
            report.add(CUT_OFF, cut_off_leader(stack, networks))
        wait_for_roles(stack, list(networks))
        report.defects += stack.unexpected_exits()  # before the proxies end
        check_every_minute(stack, report, model_ids)


def print_environment(stack: Stack) -> None:
    engine = local_redis.find_engine()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
    print(f"PostgreSQL {fetch_value(stack.db, 'SHOW server_version')},", end=" ")
    print(f"{engine.name} {'.'.join(map(str, engine.version))}; {MODELS} models due every minute;", end=" ")
    print(f"load average before: {os.getloadavg()[0]:.1f}\n", flush=True)


def wait_for_roles(stack: Stack, schedulers: Sequence[Service]) -> Roles:
    """Return the leader and its standby, at a random time after both have a session."""

    def roles() -> Roles | None:
        sessions = [name for (name,) in fetch_all(stack.db, "SELECT application_name FROM pg_stat_activity")]
        connected = [
            scheduler for scheduler in schedulers if any(name.endswith(f":{scheduler.popen.pid}") for name in sessions)
        ]
        leaders = [scheduler for scheduler in schedulers if is_leader(stack.db, scheduler)]
        if len(connected) < 2 or not leaders:
            return None
        [standby] = [scheduler for scheduler in schedulers if scheduler is not leaders[0]]
        return Roles(leaders[0], standby)

    current_roles = expect("a leader and a standby", roles)
    time.sleep(random.uniform(0.5, 2.5))  # independent of what each of them does periodically
    return current_roles


def kill_leader(stack: Stack, schedulers: Sequence[Service]) -> float:
    leader, standby = wait_for_roles(stack, schedulers)
    seconds = measure(leader.kill, KILLED, lambda: is_leader(stack.db, standby))
    leader.start()
    return seconds


def kill_waiting_leader(stack: Stack, schedulers: Sequence[Service]) -> float:
    leader, standby = wait_for_roles(stack, schedulers)
    with closing(psycopg2.connect(stack.databases.server.url)) as locking:
        execute(locking, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        expect("a leader that waits for a lock", lambda: fetch_value(stack.db, WAITING_LEADERS, APPLICATION_NAME))
        time.sleep(random.uniform(0, 1))
        seconds = measure(leader.kill, KILLED_WAITING, lambda: is_leader(stack.db, standby))
    leader.start()
    return seconds


def stop_leader(stack: Stack, schedulers: Sequence[Service]) -> float:
    leader, standby = wait_for_roles(stack, schedulers)
    seconds = measure(lambda: leader.popen.send_signal(signal.SIGSTOP), STOPPED, lambda: is_leader(stack.db, standby))
    leader.popen.send_signal(signal.SIGCONT)
    return seconds


def cut_off_leader(stack: Stack, networks: dict[Service, LossyProxy]) -> float:
    leader, standby = wait_for_roles(stack, list(networks))
    seconds = measure(networks[leader].silence, CUT_OFF, lambda: is_leader(stack.db, standby))
    networks[leader].resume()
    return seconds


def check_every_minute(stack: Stack, report: ScenarioReport, model_ids: Sequence[str]) -> None:
    """Report due times that are missed, and results that are missing or duplicate."""
    last = current_minute()
    expect(f"the results of {last:%H:%M}", lambda: stack.has_results(model_ids, last))
    expect("an empty queue", lambda: not stack.remaining_messages(), 20)
    first = fetch_value(stack.db, "SELECT min(due_at) FROM fires")
    due_times = [first + MINUTE * number for number in range((last - first) // MINUTE + 1)]
    if skipped := fetch_value(stack.db, "SELECT sum(skipped) FROM fires"):
        report.defects.append(f"{skipped} due times were skipped")
    report.defects += stack.wrong_results(model_ids, due_times)
