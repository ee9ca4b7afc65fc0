"""Recovery time after outages of PostgreSQL or Redis that last for minutes."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks.packet_loss import LossyProxy
from benchmarks.scenario_report import LABELS, MINUTE, MODELS, ScenarioReport, current_minute, expect, sleep_until
from benchmarks.stack import Stack
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import fetch_all, fetch_value
from tests.support.processes import Service
from tests.support.workers import insert_large_batch

DURATION = 180  # seconds
MESSAGES = 2  # of 100 models, the default
HEARTBEAT, LAST_RESULT = "first heartbeat", "last result of the catch-up"
MAX_HEARTBEAT_DELAY = 5  # seconds


class Outage(NamedTuple):
    """A server, and whether it is stopped, or its network silent."""

    server: str
    is_silent: bool

    def __str__(self) -> str:
        return f"{self.server} {'silent' if self.is_silent else 'stopped'} for {DURATION} s"


OUTAGES = [Outage(server, is_silent) for server in ("PostgreSQL", "Redis") for is_silent in (True, False)]
LIMITS = {  # seconds
    f"{outage}: {event}": limit
    for outage in OUTAGES
    for event, limit in ((HEARTBEAT, MAX_HEARTBEAT_DELAY), (LAST_RESULT, None))
}

# A leader that lost its session is elected again: writes of its old session may still reach PostgreSQL.
HEARTBEAT_AT = """
    SELECT extract(epoch FROM looked_at)::float8 FROM leader
    WHERE looked_at > to_timestamp(%s) AND error IS NULL AND (since > to_timestamp(%s) OR NOT %s)
"""
FIRES = "SELECT due_at, fired_at IS NOT NULL, models, messages, skipped FROM fires ORDER BY due_at"


def backend_outage(stack: Stack, report: ScenarioReport, outage: Outage, second: int) -> None:
    """Run an outage that begins at this second of a minute."""
    model_ids = insert_large_batch(stack.db, MODELS, LABELS)
    with LossyProxy(stack.databases.server.url if outage.server == "PostgreSQL" else stack.queue.url) as network:
        worker = start_processes(stack, outage, network)
        first = expect("a fire", lambda: fetch_value(stack.db, "SELECT min(due_at) FROM fires"), 90)
        expect("results before the outage", lambda: stack.has_results(model_ids, first))
        sleep_until(first + timedelta(seconds=second))
        received = count_received(worker)

        begin, end = outage_actions(stack, outage, network)
        begin()
        sleep_until(first + timedelta(seconds=second + DURATION))
        ended_at = time.time()
        end()

        stack.db = stack.connect()
        report.add(f"{outage}: {HEARTBEAT}", first_heartbeat(stack, outage, ended_at) - ended_at)
        catch_up = current_minute()
        expect("results of the catch-up", lambda: stack.has_results(model_ids, catch_up), 200)
        report.add(f"{outage}: {LAST_RESULT}", time.time() - ended_at)
        regular = current_minute() + MINUTE
        expect("results of the next minute", lambda: stack.has_results(model_ids, regular), 90)
        expect("an empty queue", lambda: not stack.remaining_messages(), 20)

        due_times = [catch_up + MINUTE * number for number in range((regular - catch_up) // MINUTE + 1)]
        missed = (catch_up - first) // MINUTE
        report.defects += check_fires(stack, outage, due_times, missed, count_received(worker) - received)
        report.defects += stack.wrong_results(model_ids, [first, *due_times])
        report.defects += stack.unexpected_exits()  # before the proxy ends


def start_processes(stack: Stack, outage: Outage, network: LossyProxy) -> Service:
    """Start a worker and a scheduler, behind the network if it will be silent; returns the worker."""
    variable = "database_url" if outage.server == "PostgreSQL" else "redis_url"
    urls = {variable: network.url} if outage.is_silent else {}
    worker = stack.start("worker", WORKER, **urls)
    stack.start("scheduler", SCHEDULER, **urls)
    return worker


def count_received(worker: Service) -> int:
    """Return the number of messages that the worker has received."""
    return worker.output.count("] received")


def outage_actions(stack: Stack, outage: Outage, network: LossyProxy) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the actions that begin and end the outage."""
    if outage.is_silent:
        return network.silence, network.resume
    if outage.server == "PostgreSQL":
        return stack.databases.server.process.stop, stack.databases.restart
    return stack.queue.process.kill, stack.queue.process.start


def first_heartbeat(stack: Stack, outage: Outage, ended_at: float) -> float:
    """Return the time of the first heartbeat without an error after the outage, in epoch seconds."""

    def heartbeat_at() -> float | None:
        heartbeats = fetch_all(stack.db, HEARTBEAT_AT, ended_at, ended_at, outage.server == "PostgreSQL")
        return heartbeats[0][0] if heartbeats else None

    return expect("a heartbeat", heartbeat_at)


def check_fires(stack: Stack, outage: Outage, due_times: Sequence[datetime], missed: int, received: int) -> list[str]:
    """Return defects of the fires since the outage, and of the messages received; prints both."""
    fires = fetch_all(stack.db, FIRES)[1:]
    summary = ", ".join(
        f"{due_at:%H:%M} in {messages} messages ({skipped} skipped)" for due_at, _, _, messages, skipped in fires
    )
    print(f"{outage}: {missed} due times missed; fired: {summary}; the worker received {received} messages", flush=True)
    expected = [(due_at, True, MODELS, MESSAGES, missed - 1 if due_at == due_times[0] else 0) for due_at in due_times]
    defects = []
    if fires != expected:
        defects.append(f"fires are {fires}, not {expected}")
    if received != MESSAGES * len(due_times):
        defects.append(f"the worker received {received} messages, not {MESSAGES * len(due_times)}")
    return defects
