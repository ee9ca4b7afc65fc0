"""Junk in notifications, to which any role can write."""

import json

from tests.chaos.faults import junk
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.support.databases import execute

MAX_PAYLOAD = 7999  # bytes
RANDOM_PAYLOADS = 500

PAYLOADS = [
    "[" * 7900,
    '{"pairs": ' + "[" * 3900 + "]" * 3900 + "}",
    '{"pairs": [["\\ud800", "UTC"]]}',
    '{"pairs": [["* * * * *", "\\udfff\\ud800"]]}',
    '{"pairs": [["a\\u0000", "UTC"]]}',
    "x\n[2026-01-01 00:00:00,000: ERROR/MainProcess] forged\r\n\x1b[31m",
    '{"pairs": 5}',
    '{"pairs": "ab"}',
    '{"pairs": ["ab", "cd"]}',
    '{"pairs": [["a"]]}',
    '{"pairs": [["a", "b", "c"]]}',
    '{"pairs": [[null, {}], [[], 1e999], [true, NaN]]}',
    '{"pairs": {"ab": 1}}',
    '{"pairs": [["' + "9" * 7000 + '", "UTC"]]}',
    '{"pairs": [[' + "9" * 7000 + ', "UTC"]]}',
    '{"pairs": [["0 0 1 1 *", "__init__/py"]]}',
    json.dumps({"pairs": [[f"{number} 0 1 1 *", "x"] for number in range(300)]})[:MAX_PAYLOAD],
    json.dumps({"pairs": [["x", "y"]] * 550}),
    '{"pairs": null}',
    '{"requested": true}',
    "null",
    "[]",
    "",
]


@fault("junk: one NOTIFY", "junk notifications")
def notify_once(context: FaultContext) -> None:
    notify(context, context.rng.choice(PAYLOADS))
    junk.keep_for_single_runs(context)


@fault("junk: many NOTIFY in a row", "junk notifications")
def notify_often(context: FaultContext) -> None:
    payloads = [*PAYLOADS, *(random_payload(context) for _ in range(RANDOM_PAYLOADS))]
    context.rng.shuffle(payloads)
    notify(context, *payloads)
    junk.keep_for_single_runs(context)


def random_payload(context: FaultContext) -> str:
    """Return one of the payloads, or random text of random length."""
    rng = context.rng
    if rng.random() < 0.3:
        return rng.choice(PAYLOADS)
    length = rng.choice([1, 10, 1000])
    return "".join(chr(rng.choice([rng.randrange(1, 0x80), rng.randrange(0x80, 0x800)])) for _ in range(length))


def notify(context: FaultContext, *payloads: str) -> None:
    """Notify the scheduler's channel as a role without grants."""
    with context.system.unprivileged() as db:
        for payload in payloads:
            execute(db, "SELECT pg_notify(%s, %s)", junk.NOTIFY_CHANNEL, payload)
