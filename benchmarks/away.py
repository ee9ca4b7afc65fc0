"""How soon things go on when PostgreSQL or Redis is there again after some minutes."""

import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks.packet_loss import LossyProxy
from benchmarks.report import LABELS, MINUTE, MODELS, Report, expect, sleep_until, this_minute
from benchmarks.stack import Stack
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import one, rows
from tests.support.workers import insert_large_batch

AWAY = 180  # seconds
MESSAGES = 2  # of 100 models, the default
OUTAGES = [(server, how) for server in ("PostgreSQL", "Redis") for how in ("silent", "stopped")]
LOOK, LAST_RESULT = "first look", "last result of the catch-up"
BARS = {  # seconds
    f"{server} {how} for {AWAY} s: {what}": bar
    for server, how in OUTAGES
    for what, bar in ((LOOK, 5), (LAST_RESULT, None))
}

# A leader that lost its session is a new one: what the old one had under way may still reach PostgreSQL.
LOOKED_AT = """
    SELECT extract(epoch FROM looked_at)::float8 FROM leader
    WHERE looked_at > to_timestamp(%s) AND error IS NULL AND (since > to_timestamp(%s) OR NOT %s)
"""
FIRES = "SELECT due_at, fired_at IS NOT NULL, models, messages, skipped FROM fires ORDER BY due_at"


def outage(stack: Stack, report: Report, server: str, how: str, second: int) -> None:
    """From this second of a minute on."""
    what = f"{server} {how} for {AWAY} s"
    ids = insert_large_batch(stack.db, MODELS, LABELS)
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
