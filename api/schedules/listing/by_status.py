"""Keys of the schedules with a status, by cron spec.

No index holds a status, which changes with the clock. It depends mostly on the cron spec, and there are few of these; a
search continues where the one before ended.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from psycopg2.extensions import cursor

from api.rows import fetch_record, fetch_records
from api.schedules.listing.by_key import KeyRange, parameters, split_at_limit
from api.schedules.listing.cursor import FIRST_MODEL, Filters, ListedStatus, Position
from api.schedules.listing.limits import SearchLimits
from core.cron.spec import CronSpec

RECORDED_STATUSES: tuple[ListedStatus, ...] = ("scheduled", "late", "error")

LAST_SPEC = CronSpec("\U0010ffff", "")

RECORDED = files(__package__).joinpath("recorded.sql").read_text()
UNRECORDED = files(__package__).joinpath("unrecorded.sql").read_text()
# The last of the cron specs that one statement goes through; no row where they are fewer.
SPEC_AHEAD = """
    SELECT cron_expression, timezone FROM (
        SELECT cron_expression, timezone, row_number() OVER (ORDER BY cron_expression, timezone) AS number
        FROM public.crons
        WHERE (cron_expression, timezone) > (%(from_cron)s, %(from_zone)s)
            AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
            AND (%(zone)s IS NULL OR timezone = %(zone)s)
        ORDER BY cron_expression, timezone LIMIT %(max_specs)s
    ) AS ahead
    WHERE number = %(max_specs)s
"""


class Step(NamedTuple):
    """The models with the status at one step of a search, and its cron spec."""

    cron: str
    zone: str
    model_ids: Sequence[str]


class RecordedStep(NamedTuple):
    """The same, and the model at which the cron spec continues; None at its end."""

    cron: str
    zone: str
    model_id: str | None
    model_ids: Sequence[str]


def find_recorded(
    cur: cursor, filters: Filters, position: Position, count: int, limits: SearchLimits
) -> KeyRange[Position]:
    """Return models of cron specs that the scheduler has recorded, with one of RECORDED_STATUSES."""
    values = {
        **parameters(filters, position, count),
        "status": filters.status,
        "max_steps": limits.max_steps,
        "window": limits.window,
        "first_model": FIRST_MODEL,
    }
    cur.execute(RECORDED, values)
    steps = fetch_records(cur, RecordedStep)
    last = steps[-1]
    next_position = Position(last.cron, last.zone, last.model_id) if len(steps) > limits.max_steps else None
    return split_at_limit(_keys(steps), count, next_position)


def find_unrecorded(
    cur: cursor, filters: Filters, position: Position, count: int, limits: SearchLimits
) -> KeyRange[Position]:
    """Return models of cron specs that the scheduler has not recorded yet."""
    values = {**parameters(filters, position, count), "max_specs": limits.max_recorded_specs}
    cur.execute(SPEC_AHEAD, values)
    ahead = fetch_record(cur, CronSpec)
    until = ahead or LAST_SPEC
    cur.execute(UNRECORDED, {**values, "until_cron": until.cron_expression, "until_zone": until.timezone})
    steps = fetch_records(cur, Step)
    if ahead is None:
        return split_at_limit(_keys(steps), count, None)
    # In the order of the database: code points, as Python compares.
    last = max(ahead, CronSpec(steps[-1].cron, steps[-1].zone))
    return split_at_limit(_keys(steps), count, Position(last.cron_expression, last.timezone, None))


def _keys(steps: Sequence[Step] | Sequence[RecordedStep]) -> list[Position]:
    return [Position(step.cron, step.zone, model_id) for step in steps for model_id in step.model_ids]
