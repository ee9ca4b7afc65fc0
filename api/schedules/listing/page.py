"""The list of schedules, page by page, in a time that hardly depends on how many there are."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, get_args

from psycopg2.extensions import cursor

from api.contract.fields import UUID
from api.schedules.listing import by_key, by_status
from api.schedules.listing.cursor import START, Filters, ListedStatus, Position, decode, encode
from api.schedules.queries import COLUMNS, Schedule
from core.results.models import Failure
from core.results.repository import ResultStore

STATUSES = get_args(ListedStatus)

PATIENCE = 0.04  # seconds; a page that has found too few by then is short, and the next one goes on
CHUNK = 1000  # models that PostgreSQL and Redis are asked about together
FEW_FAILING = 2000

# The conditions on null go away before the statement is planned: psycopg2 writes the values into it.
SHOW = (
    COLUMNS
    + """
    WHERE model_id = ANY (%(model_ids)s::uuid[])
        AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
        AND (%(zone)s IS NULL OR timezone = %(zone)s)
        AND (%(enabled)s IS NULL OR enabled = %(enabled)s)
        AND (%(status)s IS NULL OR status = %(status)s)
"""
)


class Page(NamedTuple):
    """Some schedules; a page may be short, or even empty, and others follow all the same."""

    schedules: list[Schedule]
    following: str | None  # for ?after=; None on the last page


class _Stretch(NamedTuple):
    """Where the next candidates are, and where the search goes on."""

    keys: Sequence[Position | Failure]
    following: Position | Failure | None


def page(
    statements: cursor, results: Callable[[], ResultStore], filters: Filters, after: str | None, limit: int
) -> Page:
    """Return schedules that fit, from the first one on or from where the page before said that it goes on.

    Only who looks for those that fail needs results(), and so Redis.
    A schedule that fits throughout is on exactly one page, whatever happens to others meanwhile.
    Raises InvalidRequest for an `after` that does not come from a page with the same filters.
    """
    position = decode(filters, after) if after is not None else None
    if _contradict(filters):
        return Page([], None)
    found: list[Schedule] = []
    deadline = time.monotonic() + PATIENCE
    while True:
        missing = limit - len(found)
        keys, position = _candidates(statements, results, filters, position, missing)
        shown = _show(statements, filters, keys)
        if len(shown) > missing:
            following = shown[missing].model_id
            position = next(key for key in keys if key.model_id == following)
        found += shown[:missing]
        if position is None or len(found) == limit or time.monotonic() > deadline:
            return Page(found, position and encode(filters, position))


def _contradict(filters: Filters) -> bool:
    """Whether the filters are such that no schedule can fit both."""
    if filters.status == "paused":
        return filters.enabled is True
    return filters.status in {"scheduled", "new", "late", "error"} and filters.enabled is False


def _candidates(
    statements: cursor,
    results: Callable[[], ResultStore],
    filters: Filters,
    position: Position | Failure | None,
    count: int,
) -> _Stretch:
    """Return where the next schedules are that may fit; none that fits is left out."""
    if filters.search is not None:
        return _matching(statements, results, filters, _in_table(position), count)
    if filters.status == "failing":
        return _failing(statements, results, filters, position, count)
    start = _in_table(position)
    if filters.status in by_status.PAIR_IS:
        return _Stretch(*by_status.known(statements, filters, start, count))
    if filters.status == "new":
        return _Stretch(*by_status.new(statements, filters, start, count))
    if filters.status == "paused":
        filters = filters._replace(enabled=False)
    return _Stretch(*by_key.rows(statements, filters, start, count))


def _matching(
    statements: cursor, results: Callable[[], ResultStore], filters: Filters, start: Position, count: int
) -> _Stretch:
    """Start from those that are searched for: as a rule they are few."""
    alone = filters == Filters(search=filters.search)
    keys, following = by_key.matching(statements, filters, start, count if alone else CHUNK)
    return _Stretch(_that_fail(results, keys) if filters.status == "failing" else keys, following)


def _failing(
    statements: cursor,
    results: Callable[[], ResultStore],
    filters: Filters,
    position: Position | Failure | None,
    count: int,
) -> _Stretch:
    """Start from the failures, or from the schedules that fit where these are probably fewer."""
    if position is None:
        by_schedule = (filters.cron is not None or filters.zone is not None) and results().count_failing() > FEW_FAILING
    else:
        by_schedule = isinstance(position, Position)
    if by_schedule:
        keys, following = by_key.rows(statements, filters, _in_table(position), CHUNK)
        return _Stretch(_that_fail(results, keys), following)
    start = position if isinstance(position, Failure) else None
    unfiltered = filters == Filters(status="failing")
    wanted = count if unfiltered else CHUNK
    failures = results().failing(start, wanted + 1)
    return _Stretch(failures[:wanted], failures[wanted] if len(failures) > wanted else None)


def _that_fail(results: Callable[[], ResultStore], keys: Sequence[Position]) -> Sequence[Position]:
    failing = results().which_fail([str(key.model_id) for key in keys])
    return [key for key, fails in zip(keys, failing, strict=True) if fails]


def _in_table(position: Position | Failure | None) -> Position:
    assert not isinstance(position, Failure), "a failure is no place in the table"
    return position or START


def _show(statements: cursor, filters: Filters, keys: Sequence[Position | Failure]) -> list[Schedule]:
    """Return the schedules that still are there and fit, in the order of the keys."""
    status = None if filters.status == "failing" else filters.status  # Redis has said it
    # Those that fail are what Redis says, and PostgreSQL would refuse them all for one that is no UUID.
    model_ids = [key.model_id for key in keys if UUID.fullmatch(str(key.model_id))]
    values = {**filters._asdict(), "status": status, "model_ids": model_ids}
    statements.execute(SHOW, values)
    schedules = {row[0]: Schedule(*row) for row in statements.fetchall()}
    return [schedules[key.model_id] for key in keys if key.model_id in schedules]
