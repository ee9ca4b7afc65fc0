"""Junk in places that others can write to: the channel, Redis keys, rows past the triggers, triggers, cancellations.

None of it may lose a result, double one, or make a model late that it does not concern. Whatever is written is removed
again after some seconds, by which time a result that waits for that is late.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import redis

from core.queue import batch
from core.queue.keys import CHECKPOINT_KEY, QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY
from core.results import keys
from tests.chaos import newcomers, scratch
from tests.chaos.evidence import COUNTED, LABEL
from tests.chaos.scratch import counted, repair
from tests.chaos.user_faults import envelope
from tests.chaos.world import World, fault
from tests.support.databases import Connection, run

CHANNEL = "metrics_executions"
MOST_PAYLOAD = 7999  # bytes of a NOTIFY
UNACKED_KEY = "unacked"  # kombu's hash: messages that workers have taken
SECONDS = 6.5, 9.0  # more than a result may be late
# Where new pairs and requests wait for it: a newcomer is due some seconds after it was added, and is late after that.
NEWCOMERS_SECONDS = 15.0, 18.0
NOT_UTF8 = b"\xff\xfe\x00"

# Times that Python has no datetime for, or none that it can count from in any time zone.
ODD_TIMES = ["-infinity", "infinity", "0001-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC", "20000-01-01 00:00:00+00"]
ODD_SCHEDULES = [
    ("0 0 1 1 *", "__init__/py"),
    ("0 0 1 1 *", "../../etc/passwd"),
    ("0 0 1 1 *", "UTC\n"),
    ("0 0 1 1 *", ""),
    ("0 0 1 1 *", "x" * 2000),
    ("* * * * * *", "UTC"),
    ("1-99999999999999999999 * * * *", "UTC"),
    ("9" * 2000, "UTC"),
    ("\x01\x02", "UTC"),
    ("٣ * * * *", "UTC"),
    ("", "UTC"),
    ("*/0 * * * *", "UTC"),
    ("0 0 31 2 *", "UTC"),
]
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
    json.dumps({"pairs": [[f"{number} 0 1 1 *", "x"] for number in range(300)]})[:MOST_PAYLOAD],
    json.dumps({"pairs": [["x", "y"]] * 550}),
    '{"pairs": null}',
    '{"requested": true}',
    "null",
    "[]",
    "",
]


def remain(world: World, seconds: tuple[float, float] = SECONDS) -> None:
    """Leave the junk for some seconds."""
    world.between(*seconds)


@fault("junk: one NOTIFY", "junk notifications")
def notify_junk(world: World) -> None:
    notify(world, world.rng.choice(PAYLOADS))
    remain(world, NEWCOMERS_SECONDS)


@fault("junk: many NOTIFY in a row", "junk notifications")
def notify_much_junk(world: World) -> None:
    payloads = [*PAYLOADS, *(random_payload(world) for _ in range(500))]
    world.rng.shuffle(payloads)
    notify(world, *payloads)
    remain(world, NEWCOMERS_SECONDS)


def random_payload(world: World) -> str:
    """Return one of the payloads, or random text of random length."""
    rng = world.rng
    if rng.random() < 0.3:
        return rng.choice(PAYLOADS)
    length = rng.choice([1, 10, 1000])
    return "".join(chr(rng.choice([rng.randrange(1, 0x80), rng.randrange(0x80, 0x800)])) for _ in range(length))


def notify(world: World, *payloads: str) -> None:
    """Notify the scheduler's channel as a role without any grant."""
    with world.stack.stranger() as db:
        for payload in payloads:
            run(db, "SELECT pg_notify(%s, %s)", CHANNEL, payload)


@fault("junk: metrics:published", "junk in Redis")
def spoil_marker(world: World) -> None:
    far = "9999-12-31T23:59:59.999999+00:00"
    write: Callable[[redis.Redis], object] = world.rng.choice([
        lambda client: client.set(CHECKPOINT_KEY, NOT_UTF8),
        lambda client: client.set(CHECKPOINT_KEY, far),
        lambda client: replace(client, CHECKPOINT_KEY, lambda: client.rpush(CHECKPOINT_KEY, "junk")),
    ])  # fmt: skip
    with world.stack.client() as client:
        write(client)
    remain(world)
    repair(lambda: restore_marker(world, far))


def restore_marker(world: World, far: str) -> None:
    """Remove junk that is still there."""
    with world.stack.client() as client:
        if client.type(CHECKPOINT_KEY) != b"string" or client.get(CHECKPOINT_KEY) in {NOT_UTF8, far.encode()}:
            client.delete(CHECKPOINT_KEY)


@fault("junk: results of another type", "junk in Redis")
def spoil_results(world: World) -> None:
    """Of more models than there are processes that could wait for them."""
    spoil_keys_of_models(world, keys.results_key, 8)


@fault("junk: details of another type", "junk in Redis")
def spoil_details(world: World) -> None:
    spoil_keys_of_models(world, keys.confusion_key, 4)


def spoil_keys_of_models(world: World, key_of: Callable[[str], str], count: int) -> None:
    """Replace keys of scratch models, which travel in batches with models that count, and in messages of their own."""
    with ExitStack() as models:
        ids = [models.enter_context(scratch.model(world)) for _ in range(count)]
        log_labels(world)
        spoil_keys(world, [key_of(model_id) for model_id in ids], lambda: scratch.request_runs(world, ids))


@fault("junk: metrics:failing of another type", "junk in Redis")
def spoil_failing(world: World) -> None:
    log_labels(world)
    spoil_keys(world, [keys.FAILING_KEY])


@fault("junk: metrics:counts of another type", "junk in Redis")
def spoil_counts(world: World) -> None:
    log_labels(world)
    spoil_keys(world, [keys.COUNTS_KEY])


def log_labels(world: World) -> None:
    """Log new rows of all models that count, so that their next results are no repetitions."""
    with world.stack.owner() as db:
        run(db, LABEL, COUNTED)


def spoil_keys(world: World, names: Sequence[str], then: Callable[[], object] = lambda: None) -> None:
    """Replace keys by lists, a type that these keys never have, then do what meets them."""
    with world.stack.client() as client:
        for name in names:
            replace(client, name, partial(client.rpush, name, "junk", NOT_UTF8))
    try:
        then()
        remain(world)
    finally:
        for name in names:
            repair(partial(delete_list, world, name))


def replace(client: redis.Redis, name: str, write: Callable[[], object]) -> None:
    client.delete(name)
    write()


def delete_list(world: World, name: str) -> None:
    """Delete the key, unless it is repaired by now."""
    with world.stack.client() as client:
        if client.type(name) == b"list":
            client.delete(name)


@fault("junk: unreadable members", "junk in Redis")
def add_members(world: World) -> None:
    """Beside the results of models that count, before them and after them, and in the keys of all models."""
    models = counted(world, 50)
    members = [b"junk", NOT_UTF8, b"[" * 10_000, b"[1e999]", b'[1764000000000,1,0,"x",9]', b"[null,null,null]", b""]
    with world.stack.client() as client:
        for model_id in models:
            score = world.rng.choice([-1.0, 4e9])
            client.zadd(keys.results_key(model_id), {world.rng.choice(members): score})
            client.set(keys.confusion_key(model_id), world.rng.choice(members))
        client.zadd(keys.FAILING_KEY, {"junk": float("inf"), NOT_UTF8: float("-inf"), "": 1e99})
        client.hset(keys.COUNTS_KEY, mapping={"ok": "junk", "junk": "junk", NOT_UTF8: NOT_UTF8})
    remain(world)
    repair(lambda: remove_members(world, models, members))


def remove_members(world: World, models: Sequence[str], members: Sequence[bytes]) -> None:
    with world.stack.client() as client:
        for model_id in models:
            client.zrem(keys.results_key(model_id), *members)
        client.zrem(keys.FAILING_KEY, "junk", NOT_UTF8, "")
        if client.hget(keys.COUNTS_KEY, "ok") == b"junk":
            client.hdel(keys.COUNTS_KEY, "ok")
        client.hdel(keys.COUNTS_KEY, "junk", NOT_UTF8)


@fault("junk: unacked messages", "junk in the queue")
def add_unacked(world: World) -> None:
    """With values that are no messages, and times at which they come back at once, or never."""
    triple = [json.loads(envelope("worker.no_such_task", {})), "", QUEUE]
    values: list[bytes] = [
        b"junk", NOT_UTF8, b"[]", b"[1, 2, 3]", b'"x"', b"{}", b"[{}, null, null]", b"[" * 10_000,
        b'[{"body": 1, "headers": [], "properties": 5}, "", "celery"]', json.dumps(triple).encode(),
        json.dumps([triple[0], "nowhere", "nowhere"]).encode(),
    ]  # fmt: skip
    scores = [0.0, 1.0, -1e99, 1e99, float("inf"), float("-inf")]
    unacked = {f"junk-{world.rng.getrandbits(64)}": value for value in values}
    index = {tag: world.rng.choice(scores) for tag in unacked} | {f"junk-{score}": score for score in scores}
    index |= {NOT_UTF8.decode("latin-1"): 0.0}
    with world.stack.client() as client:
        client.hset(UNACKED_KEY, mapping=unacked)
        client.zadd(UNACKED_INDEX_KEY, index)
    remain(world)
    repair(lambda: remove_unacked(world, list(index)))


def remove_unacked(world: World, tags: Sequence[str]) -> None:
    with world.stack.client() as client:
        client.hdel(UNACKED_KEY, *tags)
        client.zrem(UNACKED_INDEX_KEY, *tags)


@fault("junk: items of the queue", "junk in the queue")
def queue_items(world: World) -> None:
    push_items(world, QUEUE)


@fault("junk: taken items", "junk in the queue")
def take_items(world: World) -> None:
    push_items(world, TAKEN_KEY)


def push_items(world: World, name: str) -> None:
    """Add items that cannot run, and some that could run only in years."""
    with world.stack.owner() as db:
        model_id = scratch.new_id(world, db)
    in_years = json.loads(envelope(batch.TASK_NAME, {"model_ids": [model_id], "due_at": "9000-01-01T00:00:00Z"}))
    in_years["headers"]["eta"] = "9000-01-01T00:00:00+00:00"
    elsewhere = json.loads(envelope(batch.TASK_NAME, {"model_ids": [], "due_at": "2026-01-01T00:00:00Z"}))
    elsewhere["properties"]["delivery_info"] = {"exchange": "nowhere", "routing_key": "nowhere"}
    items = [
        b"junk", NOT_UTF8, b"", b"[" * 100_000, b'{"a":' * 50_000, b"{}", b"[]", b"5", b'{"headers": {}, "body": 5}',
        envelope("worker.no_such_task", {}), json.dumps(in_years).encode(), json.dumps(elsewhere).encode(),
        json.dumps(in_years | {"properties": {"delivery_tag": "junk", "delivery_info": "x"}}).encode(),
        json.dumps(in_years | {"body": "%%%"}).encode(),
    ]  # fmt: skip
    world.rng.shuffle(items)
    with world.stack.client() as client:
        client.rpush(name, *items)
    remain(world)
    repair(partial(remove_items, world, name, items))


def remove_items(world: World, name: str, items: Sequence[bytes]) -> None:
    with world.stack.client() as client:
        for item in items:
            client.lrem(name, 0, item)


@fault("junk: active_since", "junk rows")
def add_odd_active_since(world: World) -> None:
    """Each in a pair of its own, half of which an honest model begins to use."""
    with ExitStack() as odd_rows, world.stack.owner() as db:
        for odd_time in ODD_TIMES:
            pair = newcomers.choose(db, world.rng)
            odd = {"cron_expression": pair.cron_expression, "timezone": pair.timezone, "active_since": odd_time}
            odd_rows.enter_context(scratch.row_past_the_triggers(world, **odd))
            if world.rng.random() < 0.5:
                newcomers.add(db, pair)
            announce(db, pair.cron_expression, pair.timezone)
        remain(world, NEWCOMERS_SECONDS)


@fault("junk: run_requested_at", "junk rows")
def add_odd_requests(world: World) -> None:
    with ExitStack() as odd_rows:
        for odd_time in ODD_TIMES:
            odd_rows.enter_context(scratch.row_past_the_triggers(world, run_requested_at=odd_time, enabled=False))
        wake(world)
        remain(world, NEWCOMERS_SECONDS)


@fault("junk: a name that is too long", "junk rows")
def add_long_name(world: World) -> None:
    """With a pending request, which can be cleared only by an UPDATE that the triggers refuse."""
    with scratch.row_past_the_triggers(world, name="x" * 300, run_requested_at="now"):
        wake(world)
        remain(world, NEWCOMERS_SECONDS)


@fault("junk: cron expressions and time zones", "junk rows")
def add_odd_schedules(world: World) -> None:
    with ExitStack() as odd_rows, world.stack.owner() as db:
        for cron, zone in world.rng.sample(ODD_SCHEDULES, len(ODD_SCHEDULES)):
            odd_rows.enter_context(scratch.row_past_the_triggers(world, cron_expression=cron, timezone=zone))
            announce(db, cron, zone)
        remain(world, NEWCOMERS_SECONDS)


@fault("junk: results dated BC", "junk rows")
def add_old_results(world: World) -> None:
    with scratch.model(world, timestamp="0044-03-15 12:00:00+00 BC"):
        remain(world)


def announce(db: Connection, cron_expression: str, timezone: str) -> None:
    """Announce a pair as the triggers do."""
    run(db, "SELECT pg_notify(%s, %s)", CHANNEL, json.dumps({"pairs": [[cron_expression, timezone]]}))


def wake(world: World) -> None:
    notify(world, "")


REFUSE = """
    CREATE OR REPLACE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'a trigger of the users refuses'; END $$;
    CREATE TRIGGER refuse AFTER UPDATE ON public.metrics_executions FOR EACH ROW EXECUTE FUNCTION chaos.refuse();
"""
AUDIT = """
    CREATE TABLE IF NOT EXISTS public.schedule_audit (model_id uuid, at timestamptz DEFAULT now());
    GRANT INSERT ON public.schedule_audit TO metrics_api, metrics_client;
    CREATE OR REPLACE FUNCTION chaos.audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.schedule_audit (model_id) VALUES (NEW.model_id); RETURN NULL; END $$;
    GRANT USAGE ON SCHEMA chaos TO PUBLIC;
    CREATE TRIGGER audit AFTER UPDATE ON public.metrics_executions FOR EACH ROW EXECUTE FUNCTION chaos.audit();
"""


@fault("junk: a trigger that raises", "junk triggers")
def refuse_updates(world: World) -> None:
    with_trigger(world, "refuse", REFUSE)


@fault("junk: a trigger without its right", "junk triggers")
def audit_updates(world: World) -> None:
    with_trigger(world, "audit", AUDIT)


def with_trigger(world: World, name: str, statements: str) -> None:
    """Have a trigger while honest models ask to be run, which the scheduler clears by an UPDATE."""
    try:
        with world.stack.owner() as db:
            run(db, "SET lock_timeout = '3s'")
            run(db, statements)
            newcomers.request_run(db)
        remain(world, NEWCOMERS_SECONDS)
    finally:
        repair(lambda: drop_trigger(world, name))


def drop_trigger(world: World, name: str) -> None:
    with world.stack.owner() as db:
        run(db, f"SET lock_timeout = '1s'; DROP TRIGGER IF EXISTS {name} ON public.metrics_executions")


CANCEL = """
    SELECT pg_cancel_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE state = 'active' AND usename IN ('metrics_scheduler', 'metrics_worker') AND datname = current_database()
        ORDER BY random() LIMIT 1) AS chosen
"""


@fault("junk: cancelled statements", "junk cancellations")
def cancel_statements(world: World) -> None:
    """As an administrator does, or a server that is too slow for the time limit of a statement."""
    with world.stack.owner() as db:
        for _ in range(200):
            if world.healing.is_set():
                return
            run(db, CANCEL)
            world.between(0.01, 0.06)
