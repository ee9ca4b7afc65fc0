"""Keys of the schedules on a page, by key: each query reads an index from a position on.

A position is an inclusive lower bound, so concurrent inserts and deletes move no other schedule. Without a filter the
order is that of the models; with one it is (cron, zone, model).
"""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Generic, NamedTuple, TypeVar

from psycopg2.extensions import cursor

from api.rows import fetch_records
from api.schedules.listing.cursor import Filters, Position
from core.results.models import Failure

ALL = """
    SELECT cron_expression AS cron, timezone AS zone, model_id FROM public.metrics_executions
    WHERE model_id >= %(from_model)s ORDER BY model_id LIMIT %(limit)s
"""
# One index holds the enabled schedules, another one the paused ones: a rare kind is found among many of the other.
FILTERED = files(__package__).joinpath("by_key.sql").read_text()
ENABLED = FILTERED.replace("%(is_enabled)s", "true")
PAUSED = FILTERED.replace("%(is_enabled)s", "false")
ENABLED_AND_PAUSED = f"({ENABLED}) UNION ALL ({PAUSED}) ORDER BY cron, zone, model_id LIMIT %(limit)s"
# The condition on the name is that of an index which has all names, in the order of the list.
MATCHING = """
    SELECT '' AS cron, '' AS zone, model_id FROM (
        (SELECT model_id FROM public.metrics_executions
         WHERE name IS NOT NULL AND name ILIKE %(pattern)s AND model_id >= %(from_model)s
         ORDER BY model_id LIMIT %(limit)s)
        UNION
        (SELECT model_id FROM public.metrics_executions
         WHERE model_id >= greatest(%(from_model)s::uuid, %(min_model)s::uuid) AND model_id <= %(max_model)s
         ORDER BY model_id LIMIT %(limit)s)
    ) AS schedule ORDER BY model_id LIMIT %(limit)s
"""
ID_PREFIX = re.compile("[0-9a-f]{4,32}")  # without the hyphens


Key = TypeVar("Key", Position, Failure)


class KeyRange(NamedTuple, Generic[Key]):
    """Keys of schedules in their order, and where the search continues, also after few keys; None: at the end."""

    keys: Sequence[Key]
    next_position: Key | None


def find_filtered(cur: cursor, filters: Filters, position: Position, count: int) -> KeyRange[Position]:
    """Return schedules that match the filters of cron, zone and enabled."""
    cur.execute(_statement(filters), parameters(filters, position, count))
    return split_at_limit(fetch_records(cur, Position), count, None)


def find_matching(cur: cursor, filters: Filters, position: Position, count: int) -> KeyRange[Position]:
    """Return schedules whose name contains the search text, ignoring case, or whose id begins with it."""
    assert filters.search is not None
    escaped = re.sub(r"([\\%_])", r"\\\1", filters.search)
    digits = filters.search.lower().replace("-", "")
    is_prefix = ID_PREFIX.fullmatch(digits)
    values = {
        **parameters(filters, position, count),
        "pattern": f"%{escaped}%",
        "min_model": digits.ljust(32, "0") if is_prefix else None,
        "max_model": digits.ljust(32, "f") if is_prefix else None,
    }
    cur.execute(MATCHING, values)
    return split_at_limit(fetch_records(cur, Position), count, None)


def _statement(filters: Filters) -> str:
    if filters.enabled is not None:
        return ENABLED if filters.enabled else PAUSED
    return ALL if filters.cron is None and filters.zone is None else ENABLED_AND_PAUSED


def parameters(filters: Filters, position: Position, count: int) -> Mapping[str, Any]:
    """Return the values that all statements have in common; the limit is one more, to see if others follow."""
    return {
        "cron": filters.cron,
        "zone": filters.zone,
        "from_cron": position.cron,
        "from_zone": position.zone,
        "from_model": position.model_id,
        "limit": count + 1,
    }


def split_at_limit(keys: Sequence[Key], count: int, next_position: Key | None) -> KeyRange[Key]:
    """Return the first keys, and the position of the one after them; next_position if there is none."""
    return KeyRange(keys[:count], keys[count] if len(keys) > count else next_position)
