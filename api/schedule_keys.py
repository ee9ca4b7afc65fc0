"""Which models a page of the list shows: only their keys, each query straight from an index.

A position is a lower bound, included: what was inserted or deleted meanwhile moves no other
schedule. Without a filter the order is that of the models; with one it is (cron, zone, model).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from api.schedule_cursor import FIRST_MODEL, Filters, Position

STEPS = 200  # pairs, or windows of a large pair, that one statement walks through
WINDOW = 500  # models of a pair that a step looks at
SETTLED_PAIRS = 2500  # that one statement looks behind for a new one
LAST_PAIR = ("\U0010ffff", "")

BY_MODEL = """
    SELECT cron_expression, timezone, model_id FROM public.metrics_executions
    WHERE model_id >= %(from_model)s ORDER BY model_id LIMIT %(limit)s
"""
# By whether there is a filter of cron, and one of zone.
ROWS_FROM = {
    (False, False): "(cron_expression, timezone, model_id) >= (%(from_cron)s, %(from_zone)s, %(from_model)s)",
    (True, False): "cron_expression = public.normal_cron(%(cron)s)"
    " AND (timezone, model_id) >= (%(from_zone)s, %(from_model)s)",
    # The same twice: the second one is for the index by pairs, which may serve as well where most are of one zone.
    (False, True): "timezone = %(zone)s AND (cron_expression, model_id) >= (%(from_cron)s, %(from_model)s)"
    " AND (cron_expression, timezone, model_id) >= (%(from_cron)s, %(zone)s, %(from_model)s)",
    (True, True): "cron_expression = public.normal_cron(%(cron)s) AND timezone = %(zone)s"
    " AND model_id >= %(from_model)s",
}
# An index holds the enabled ones, another one those that are paused: a rare kind is found among many of the other.
ROWS = """
    (SELECT cron_expression, timezone, model_id FROM public.metrics_executions WHERE {enabled} AND {rows_from}
     ORDER BY cron_expression, timezone, model_id LIMIT %(limit)s)
"""
MERGED = " UNION ALL {} ORDER BY cron_expression, timezone, model_id LIMIT %(limit)s"

SCOPE = {
    (False, False): "true",
    (True, False): "cron_expression = public.normal_cron(%(cron)s)",
    (False, True): "timezone = %(zone)s",
    (True, True): "cron_expression = public.normal_cron(%(cron)s) AND timezone = %(zone)s",
}
# Written so that no index of next_due_at serves it: a scheduler that was away leaves all pairs late, and reading and
# sorting them for every step is what a planner with yesterday's statistics would choose.
IS_LATE = "(SELECT public.schedule_now()) - {next_due_at} > public.late_after()"
PAIR_IS = {
    "error": "error IS NOT NULL",
    "late": "error IS NULL AND " + IS_LATE.format(next_due_at="next_due_at"),
    "scheduled": "error IS NULL AND next_due_at IS NOT NULL",
}
ROW_IS = {
    "error": "true",
    "late": "pair.next_due_at > active_since",
    "scheduled": f"NOT (pair.next_due_at > active_since AND {IS_LATE.format(next_due_at='pair.next_due_at')})",
}
# From pair to pair of crons, and in a large pair from window to window: so many steps take their time and no more, even
# where hardly any row is what is looked for. In walk, model_id is where the pair goes on; null when it is done with.
WALK = """
    WITH RECURSIVE walk AS (
        SELECT %(from_cron)s::text COLLATE "C" AS cron_expression, %(from_zone)s::text COLLATE "C" AS timezone,
            %(from_model)s::uuid AS model_id, '{{}}'::uuid[] AS found, %(limit)s AS missing, 0 AS step
        UNION ALL
        SELECT pair.cron_expression, pair.timezone, stretch.following, stretch.found[1:walk.missing],
            walk.missing - cardinality(stretch.found), walk.step + 1
        FROM walk
        CROSS JOIN LATERAL (
            SELECT cron_expression, timezone, next_due_at,
                CASE WHEN (cron_expression, timezone) = (walk.cron_expression, walk.timezone)
                    THEN walk.model_id ELSE %(first_model)s::uuid END AS model_id
            FROM public.crons
            WHERE (cron_expression, timezone) >= (walk.cron_expression, walk.timezone)
                AND (walk.model_id IS NOT NULL
                    OR (cron_expression, timezone) <> (walk.cron_expression, walk.timezone))
                AND {scope} AND {pair_is}
            ORDER BY cron_expression, timezone LIMIT 1
        ) AS pair
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(model_id ORDER BY model_id)
                    FILTER (WHERE place <= %(window)s AND {row_is}), '{{}}') AS found,
                (array_agg(model_id) FILTER (WHERE place > %(window)s))[1] AS following
            FROM (
                SELECT schedule.model_id, schedule.active_since,
                    row_number() OVER (ORDER BY schedule.model_id) AS place
                FROM public.metrics_executions AS schedule
                WHERE schedule.enabled AND schedule.cron_expression = pair.cron_expression
                    AND schedule.timezone = pair.timezone AND schedule.model_id >= pair.model_id
                ORDER BY schedule.model_id LIMIT %(window)s + 1
            ) AS looked_at
        ) AS stretch
        WHERE walk.missing > 0 AND walk.step < %(steps)s
    )
    SELECT cron_expression, timezone, model_id, found::text[] FROM walk
"""

PAIR_AHEAD = """
    SELECT cron_expression, timezone FROM (
        SELECT cron_expression, timezone, row_number() OVER (ORDER BY cron_expression, timezone) AS place
        FROM public.crons WHERE (cron_expression, timezone) > (%(from_cron)s, %(from_zone)s) AND {scope}
        ORDER BY cron_expression, timezone LIMIT %(settled_pairs)s
    ) AS ahead
    WHERE place = %(settled_pairs)s
"""
NEXT_IN_USE = {
    (False, False): "(cron_expression, timezone) > ({pair}.cron_expression, {pair}.timezone)",
    (True, False): SCOPE[True, False] + " AND timezone > {pair}.timezone",
    (False, True): SCOPE[False, True] + " AND cron_expression > {pair}.cron_expression",
    (True, True): SCOPE[True, True] + " AND (cron_expression, timezone) > ({pair}.cron_expression, {pair}.timezone)",
}
# The inner LIMIT keeps the planner from joining all pairs.
FOLLOWING = """
    SELECT cron_expression, timezone, (
            SELECT true FROM public.crons AS settled
            WHERE settled.cron_expression = schedule.cron_expression AND settled.timezone = schedule.timezone
                AND (settled.next_due_at IS NOT NULL OR settled.error IS NOT NULL) LIMIT 1
        ) IS NULL AS is_new
    FROM public.metrics_executions AS schedule
    WHERE enabled AND {next_in_use}
    ORDER BY cron_expression, timezone LIMIT 1
"""
# The pair in use that follows one of crons is as a rule the next one of crons, and otherwise new. Behind a new one
# others may follow, so each step looks behind the pair where it is, and only then behind those of crons.
NEW = """
    WITH RECURSIVE walk AS (
        SELECT start.*, %(limit)s - cardinality(start.found) AS missing
        FROM (
            SELECT %(from_cron)s::text COLLATE "C" AS cron_expression, %(from_zone)s::text COLLATE "C" AS timezone,
                ARRAY(
                    SELECT model_id FROM public.metrics_executions
                    WHERE enabled AND cron_expression = %(from_cron)s AND timezone = %(from_zone)s AND {scope}
                        AND model_id >= %(from_model)s AND NOT EXISTS (
                            SELECT FROM public.crons
                            WHERE cron_expression = %(from_cron)s AND timezone = %(from_zone)s
                                AND (next_due_at IS NOT NULL OR error IS NOT NULL))
                    ORDER BY model_id LIMIT %(limit)s
                ) AS found
        ) AS start
        UNION ALL
        SELECT pair.cron_expression, pair.timezone, brought.found, walk.missing - cardinality(brought.found)
        FROM walk
        CROSS JOIN LATERAL ({behind_walk}) AS nearest
        CROSS JOIN LATERAL (
            SELECT nearest.cron_expression, nearest.timezone WHERE nearest.is_new
            UNION ALL
            (SELECT used.cron_expression, used.timezone
             FROM (
                SELECT cron_expression, timezone FROM public.crons
                WHERE (cron_expression, timezone) >= (nearest.cron_expression, nearest.timezone)
                    AND (cron_expression, timezone) <= (%(until_cron)s, %(until_zone)s) AND {scope}
             ) AS known
             CROSS JOIN LATERAL ({behind_known}) AS used
             WHERE NOT nearest.is_new AND used.is_new
             ORDER BY known.cron_expression, known.timezone LIMIT 1)
        ) AS pair
        CROSS JOIN LATERAL (
            SELECT ARRAY(
                SELECT schedule.model_id FROM public.metrics_executions AS schedule
                WHERE schedule.enabled AND schedule.cron_expression = pair.cron_expression
                    AND schedule.timezone = pair.timezone
                ORDER BY schedule.model_id LIMIT walk.missing
            ) AS found
        ) AS brought
        WHERE walk.missing > 0
    )
    SELECT cron_expression, timezone, found::text[] FROM walk
"""


class Stretch(NamedTuple):
    """Where the next models are, and where the search goes on; that they are few does not mean that nothing follows."""

    keys: Sequence[Position]
    following: Position | None


def rows(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models whose rows fit the filters of cron, zone and enabled."""
    statements.execute(_rows_statement(filters), _values(filters, position, limit=count + 1))
    return _cut([Position(*row) for row in statements.fetchall()], count, None)


def known(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models of pairs that the scheduler knows, with one of the status scheduled, late or error."""
    assert filters.status is not None
    fragments = {"pair_is": PAIR_IS[filters.status], "row_is": ROW_IS[filters.status]}
    statement = WALK.format(scope=SCOPE[_given(filters)], **fragments)
    values = _values(filters, position, limit=count + 1)
    statements.execute(statement, {**values, "steps": STEPS, "window": WINDOW, "first_model": FIRST_MODEL})
    walked = statements.fetchall()
    keys = [Position(cron, zone, model_id) for cron, zone, _, found in walked for model_id in found]
    return _cut(keys, count, Position(*walked[-1][:3]) if len(walked) > STEPS else None)


def new(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models of pairs that the scheduler has not settled yet."""
    given = _given(filters)
    values = {**_values(filters, position, limit=count + 1), "settled_pairs": SETTLED_PAIRS}
    statements.execute(PAIR_AHEAD.format(scope=SCOPE[given]), values)
    ahead = statements.fetchone()
    until_cron, until_zone = ahead or LAST_PAIR
    statements.execute(_new_statement(given), {**values, "until_cron": until_cron, "until_zone": until_zone})
    walked = statements.fetchall()
    keys = [Position(cron, zone, model_id) for cron, zone, found in walked for model_id in found]
    # In the order of the database: code points, as Python compares.
    last_cron, last_zone = max(ahead, walked[-1][:2]) if ahead else LAST_PAIR
    return _cut(keys, count, Position(last_cron, last_zone, None) if ahead else None)


def _rows_statement(filters: Filters) -> str:
    given = _given(filters)
    if filters.enabled is None and not any(given):
        return BY_MODEL
    enabled, paused = (ROWS.format(enabled=kind, rows_from=ROWS_FROM[given]) for kind in ("enabled", "NOT enabled"))
    if filters.enabled is None:
        return enabled + MERGED.format(paused)
    return enabled if filters.enabled else paused


def _new_statement(given: tuple[bool, bool]) -> str:
    behind_walk, behind_known = (
        FOLLOWING.format(next_in_use=NEXT_IN_USE[given].format(pair=pair)) for pair in ("walk", "known")
    )
    return NEW.format(scope=SCOPE[given], behind_walk=behind_walk, behind_known=behind_known)


def _given(filters: Filters) -> tuple[bool, bool]:
    return filters.cron is not None, filters.zone is not None


def _values(filters: Filters, position: Position, *, limit: int) -> Mapping[str, Any]:
    return {
        "cron": filters.cron,
        "zone": filters.zone,
        "from_cron": position.cron,
        "from_zone": position.zone,
        "from_model": position.model_id,
        "limit": limit,
    }


def _cut(keys: Sequence[Position], count: int, goes_on: Position | None) -> Stretch:
    """Return the first keys, and the one after them; where there is none, where the search goes on."""
    return Stretch(keys[:count], keys[count] if len(keys) > count else goes_on)
