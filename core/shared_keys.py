"""Redis keys that all models share, and their types. A key of another type under these names is in the way."""

import logging
from typing import Any

import redis

from core.lua_scripts import read_script
from core.queue.keys import CHECKPOINT_KEY, QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY
from core.results.keys import COUNTS_KEY, FAILING_KEY

log = logging.getLogger(__name__)

EXCHANGES = ("celery", "celery.pidbox", "reply.celery.pidbox")  # kombu stores the queues that are bound to them
TYPES = {
    QUEUE: "list",
    TAKEN_KEY: "list",
    CHECKPOINT_KEY: "string",
    UNACKED_KEY: "hash",
    UNACKED_INDEX_KEY: "zset",
    **{f"_kombu.binding.{exchange}": "set" for exchange in EXCHANGES},
    **{f"_kombu.binding_permanent.{exchange}": "set" for exchange in EXCHANGES},
    "_kombu.binding_deadlines": "zset",
    FAILING_KEY: "zset",
    COUNTS_KEY: "hash",
}
REMOVE_WRONG_TYPES = read_script(__package__, "remove_wrong_types.lua")


def remove_wrong_types(client: redis.Redis) -> bool:
    """Delete shared keys of another type than expected; False if there are none.

    Neither messages nor results are lost: such a key cannot hold any.
    """
    removed: Any = client.register_script(REMOVE_WRONG_TYPES)(keys=list(TYPES), args=list(TYPES.values()))
    for key in removed:
        log.error("deleted Redis key of another type than expected: %s", key.decode())
    return bool(removed)
