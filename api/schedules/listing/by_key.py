"""Which models a page of the list shows: only their keys, each query straight from an index.

A position is a lower bound, included: what was inserted or deleted meanwhile moves no other
schedule. Without a filter the order is that of the models; with one it is (cron, zone, model).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from api.schedules.listing.cursor import Filters, Position

BY_MODEL = """
    SELECT cron_expression, timezone, model_id FROM public.metrics_executions
    WHERE model_id >= %(from_model)s ORDER BY model_id LIMIT %(limit)s
"""
# By whether there is a filter of cron, and one of zone.
ROWS_FROM = {
    (False, False): "(cron_expression, timezone, model_id) >= (%(from_cron)s, %(from_zone)s, %(from_model)s)",
    (True, False): "cron_expression = public.normalize_cron(%(cron)s)"
    " AND (timezone, model_id) >= (%(from_zone)s, %(from_model)s)",
    # Not "timezone = %(zone)s": an index by pairs would then have the same order, and be read from its beginning.
    (False, True): "(timezone, enabled, cron_expression, model_id)"
    " >= (%(zone)s, {is_enabled}, %(from_cron)s, %(from_model)s) AND (timezone, enabled) <= (%(zone)s, {is_enabled})",
    (True, True): "cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s"
    " AND model_id >= %(from_model)s",
}
# An index holds the enabled ones, another one those that are paused: a rare kind is found among many of the other.
ROWS = """
    (SELECT cron_expression, timezone, model_id FROM public.metrics_executions WHERE {condition} AND {rows_from}
     ORDER BY {order} LIMIT %(limit)s)
"""
MERGED = " UNION ALL {} ORDER BY cron_expression, timezone, model_id LIMIT %(limit)s"
# The condition on the name is that of an index which has all names, in the order of the list.
MATCHING = """
    SELECT '', '', model_id FROM (
        (SELECT model_id FROM public.metrics_executions
         WHERE name IS NOT NULL AND name ILIKE %(pattern)s AND model_id >= %(from_model)s
         ORDER BY model_id LIMIT %(limit)s)
        UNION
        (SELECT model_id FROM public.metrics_executions
         WHERE model_id >= greatest(%(from_model)s::uuid, %(first)s::uuid) AND model_id <= %(last)s
         ORDER BY model_id LIMIT %(limit)s)
    ) AS found ORDER BY model_id LIMIT %(limit)s
"""
BEGINNING_OF_ID = re.compile("[0-9a-f]{4,32}")  # without the hyphens


class Stretch(NamedTuple):
    """Where the next models are, and where the search goes on; that they are few does not mean that nothing follows."""

    keys: Sequence[Position]
    following: Position | None


def rows(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models whose rows fit the filters of cron, zone and enabled."""
    statements.execute(_rows_statement(filters), values_of(filters, position, limit=count + 1))
    return cut([Position(*row) for row in statements.fetchall()], count, None)


def matching(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models whose name contains what is searched for, in whatever case, or whose id begins with it."""
    assert filters.search is not None
    literally = re.sub(r"([\\%_])", r"\\\1", filters.search)
    digits = filters.search.lower().replace("-", "")
    is_beginning = BEGINNING_OF_ID.fullmatch(digits)
    values = {
        **values_of(filters, position, limit=count + 1),
        "pattern": f"%{literally}%",
        "first": digits.ljust(32, "0") if is_beginning else None,
        "last": digits.ljust(32, "f") if is_beginning else None,
    }
    statements.execute(MATCHING, values)
    return cut([Position(*row) for row in statements.fetchall()], count, None)


def _rows_statement(filters: Filters) -> str:
    given = given_of(filters)
    if filters.enabled is None and not any(given):
        return BY_MODEL
    order = "timezone, cron_expression, model_id" if given == (False, True) else "cron_expression, timezone, model_id"
    enabled, paused = (
        ROWS.format(condition=condition, rows_from=ROWS_FROM[given].format(is_enabled=is_enabled), order=order)
        for condition, is_enabled in (("enabled", "true"), ("NOT enabled", "false"))
    )
    if filters.enabled is None:
        return enabled + MERGED.format(paused)
    return enabled if filters.enabled else paused


def given_of(filters: Filters) -> tuple[bool, bool]:
    """Return whether there is a filter of cron, and one of zone: by that, fragments of statements are kept."""
    return filters.cron is not None, filters.zone is not None


def values_of(filters: Filters, position: Position, *, limit: int) -> Mapping[str, Any]:
    """Return what all statements are given."""
    return {
        "cron": filters.cron,
        "zone": filters.zone,
        "from_cron": position.cron,
        "from_zone": position.zone,
        "from_model": position.model_id,
        "limit": limit,
    }


def cut(keys: Sequence[Position], count: int, goes_on: Position | None) -> Stretch:
    """Return the first keys, and the one after them; where there is none, where the search goes on."""
    return Stretch(keys[:count], keys[count] if len(keys) > count else goes_on)
