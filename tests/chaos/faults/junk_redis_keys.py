"""Junk in the Redis keys metrics:*."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import redis

from core.queue.keys import CHECKPOINT_KEY
from core.results import keys
from tests.chaos import counted_models, scratch_models
from tests.chaos.faults import junk
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.junk import NOT_UTF8
from tests.chaos.faults.registry import fault
from tests.chaos.scratch_models import repair

FUTURE_CHECKPOINT = "9999-12-31T23:59:59.999999+00:00"
UNREADABLE_MEMBERS = [
    b"junk", NOT_UTF8, b"[" * 10_000, b"[1e999]", b'[1764000000000,1,0,"x",9]', b"[null,null,null]", b"",
]  # fmt: skip
MODELS_WITH_JUNK = 50


@fault("junk: metrics:published", "junk in Redis")
def corrupt_checkpoint(context: FaultContext) -> None:
    write: Callable[[redis.Redis], object] = context.rng.choice([
        lambda client: client.set(CHECKPOINT_KEY, NOT_UTF8),
        lambda client: client.set(CHECKPOINT_KEY, FUTURE_CHECKPOINT),
        lambda client: replace_by_list(client, CHECKPOINT_KEY),
    ])  # fmt: skip
    with context.system.redis_client() as client:
        write(client)
    junk.keep(context)
    repair(lambda: delete_junk_checkpoint(context))


def delete_junk_checkpoint(context: FaultContext) -> None:
    """Delete the checkpoint unless the scheduler has replaced it."""
    with context.system.redis_client() as client:
        is_string = client.type(CHECKPOINT_KEY) == b"string"
        if not is_string or client.get(CHECKPOINT_KEY) in {NOT_UTF8, FUTURE_CHECKPOINT.encode()}:
            client.delete(CHECKPOINT_KEY)


@fault("junk: results of another type", "junk in Redis")
def corrupt_results(context: FaultContext) -> None:
    """Replace keys of more models than there are processes that could block on them."""
    corrupt_model_keys(context, keys.results_key, 8)


@fault("junk: details of another type", "junk in Redis")
def corrupt_confusion_matrices(context: FaultContext) -> None:
    corrupt_model_keys(context, keys.confusion_key, 4)


def corrupt_model_keys(context: FaultContext, key_of: Callable[[str], str], count: int) -> None:
    """Replace keys of scratch models, which share batches with counted models and have batches of their own."""
    with ExitStack() as models:
        ids = [models.enter_context(scratch_models.scratch_model(context)) for _ in range(count)]
        insert_labels(context)
        request_runs = partial(scratch_models.request_runs, context, ids)
        corrupt_keys(context, [key_of(model_id) for model_id in ids], request_runs)


@fault("junk: metrics:failing of another type", "junk in Redis")
def corrupt_failing(context: FaultContext) -> None:
    insert_labels(context)
    corrupt_keys(context, [keys.FAILING_KEY])


@fault("junk: metrics:counts of another type", "junk in Redis")
def corrupt_counts(context: FaultContext) -> None:
    insert_labels(context)
    corrupt_keys(context, [keys.COUNTS_KEY])


def insert_labels(context: FaultContext) -> None:
    with context.system.owner() as db:
        counted_models.insert_labels(db)


def corrupt_keys(context: FaultContext, names: Sequence[str], use_keys: Callable[[], object] = lambda: None) -> None:
    """Replace keys by lists, a type that they never have, and run an action that uses them."""
    with context.system.redis_client() as client:
        for name in names:
            replace_by_list(client, name)
    try:
        use_keys()
        junk.keep(context)
    finally:
        for name in names:
            repair(partial(delete_list, context, name))


def replace_by_list(client: redis.Redis, name: str) -> None:
    client.delete(name)
    client.rpush(name, "junk", NOT_UTF8)


def delete_list(context: FaultContext, name: str) -> None:
    """Delete the key unless a service has repaired it."""
    with context.system.redis_client() as client:
        if client.type(name) == b"list":
            client.delete(name)


@fault("junk: unreadable members", "junk in Redis")
def add_members(context: FaultContext) -> None:
    """Add members before and after the results of counted models, and to the keys of all models."""
    with context.system.owner() as db:
        models = context.rng.sample(counted_models.model_ids(db), MODELS_WITH_JUNK)
    with context.system.redis_client() as client:
        for model_id in models:
            score = context.rng.choice([-1.0, 4e9])
            client.zadd(keys.results_key(model_id), {context.rng.choice(UNREADABLE_MEMBERS): score})
            client.set(keys.confusion_key(model_id), context.rng.choice(UNREADABLE_MEMBERS))
        client.zadd(keys.FAILING_KEY, {"junk": float("inf"), NOT_UTF8: float("-inf"), "": 1e99})
        client.hset(keys.COUNTS_KEY, mapping={"ok": "junk", "junk": "junk", NOT_UTF8: NOT_UTF8})
    junk.keep(context)
    repair(lambda: remove_members(context, models))


def remove_members(context: FaultContext, models: Sequence[str]) -> None:
    with context.system.redis_client() as client:
        for model_id in models:
            client.zrem(keys.results_key(model_id), *UNREADABLE_MEMBERS)
        client.zrem(keys.FAILING_KEY, "junk", NOT_UTF8, "")
        if client.hget(keys.COUNTS_KEY, "ok") == b"junk":
            client.hdel(keys.COUNTS_KEY, "ok")
        client.hdel(keys.COUNTS_KEY, "junk", NOT_UTF8)
