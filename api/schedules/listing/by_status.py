"""Which models of a status the list shows: from pair to pair of cron expression and time zone.

No index holds a status, which changes with the clock. It is a matter of the pair, as a rule, and
there are few of these; a search goes on from where the last one ended.
"""

from psycopg2.extensions import cursor

from api.schedules.listing.by_key import Stretch, cut, given_of, values_of
from api.schedules.listing.cursor import FIRST_MODEL, Filters, Position

STEPS = 200  # pairs, or windows of a large pair, that one statement walks through
WINDOW = 500  # models of a pair that a step looks at
SETTLED_PAIRS = 2500  # that one statement looks behind for a new one
LAST_PAIR = ("\U0010ffff", "")

SCOPE = {
    (False, False): "true",
    (True, False): "cron_expression = public.normalize_cron(%(cron)s)",
    (False, True): "timezone = %(zone)s",
    (True, True): "cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s",
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
    (False, True): "(timezone, enabled, cron_expression) > (%(zone)s, true, {pair}.cron_expression)"
    " AND (timezone, enabled) <= (%(zone)s, true)",
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
    ORDER BY {order} LIMIT 1
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


def known(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models of pairs that the scheduler knows, with one of the status scheduled, late or error."""
    assert filters.status is not None
    fragments = {"pair_is": PAIR_IS[filters.status], "row_is": ROW_IS[filters.status]}
    statement = WALK.format(scope=SCOPE[given_of(filters)], **fragments)
    values = values_of(filters, position, limit=count + 1)
    statements.execute(statement, {**values, "steps": STEPS, "window": WINDOW, "first_model": FIRST_MODEL})
    walked = statements.fetchall()
    keys = [Position(cron, zone, model_id) for cron, zone, _, found in walked for model_id in found]
    return cut(keys, count, Position(*walked[-1][:3]) if len(walked) > STEPS else None)


def new(statements: cursor, filters: Filters, position: Position, count: int) -> Stretch:
    """Return models of pairs that the scheduler has not settled yet."""
    given = given_of(filters)
    values = {**values_of(filters, position, limit=count + 1), "settled_pairs": SETTLED_PAIRS}
    statements.execute(PAIR_AHEAD.format(scope=SCOPE[given]), values)
    ahead = statements.fetchone()
    until_cron, until_zone = ahead or LAST_PAIR
    statements.execute(_new_statement(given), {**values, "until_cron": until_cron, "until_zone": until_zone})
    walked = statements.fetchall()
    keys = [Position(cron, zone, model_id) for cron, zone, found in walked for model_id in found]
    # In the order of the database: code points, as Python compares.
    last_cron, last_zone = max(ahead, walked[-1][:2]) if ahead else LAST_PAIR
    return cut(keys, count, Position(last_cron, last_zone, None) if ahead else None)


def _new_statement(given: tuple[bool, bool]) -> str:
    order = "timezone, cron_expression" if given == (False, True) else "cron_expression, timezone"
    behind_walk, behind_known = (
        FOLLOWING.format(next_in_use=NEXT_IN_USE[given].format(pair=pair), order=order) for pair in ("walk", "known")
    )
    return NEW.format(scope=SCOPE[given], behind_walk=behind_walk, behind_known=behind_known)
