"""Types of the Redis keys that all models share. Under these names, a key of another type is junk, and in the way."""

import logging
from typing import Any

import redis

from core.queue import batch
from core.results.repository import COUNTS, FAILING

log = logging.getLogger(__name__)

EXCHANGES = ("celery", "celery.pidbox", "reply.celery.pidbox")  # kombu keeps which queues are bound to them
TYPES = {
    batch.QUEUE: "list",
    batch.TAKEN: "list",
    batch.PUBLISHED: "string",
    batch.UNACKED: "hash",
    batch.UNACKED_INDEX: "zset",
    **{f"_kombu.binding.{exchange}": "set" for exchange in EXCHANGES},
    **{f"_kombu.binding_permanent.{exchange}": "set" for exchange in EXCHANGES},
    "_kombu.binding_deadlines": "zset",
    FAILING: "zset",
    COUNTS: "hash",
}

REMOVE_WRONG_TYPES = """
local removed = {}
for at, key in ipairs(KEYS) do
    local found = redis.call('TYPE', key).ok
    if found ~= 'none' and found ~= ARGV[at] then
        redis.call('DEL', key)
        removed[#removed + 1] = key .. ' (' .. found .. ')'
    end
end
return removed
"""


def remove_wrong_types(client: redis.Redis) -> bool:
    """Delete the shared keys that are of another type than ours; False if there are none.

    No message and no result is lost by it: such a key cannot hold any.
    """
    removed: Any = client.register_script(REMOVE_WRONG_TYPES)(keys=list(TYPES), args=list(TYPES.values()))
    for key in removed:
        log.error("deleted a Redis key of another type than ours: %s", key.decode())
    return bool(removed)
