"""Pages of the list of schedules, read in a time that hardly depends on the number of schedules."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, get_args

from psycopg2.extensions import cursor

from api.contract.fields import UUID
from api.rows import fetch_records
from api.schedules.listing.by_key import KeyRange, find_filtered, find_matching, split_at_limit
from api.schedules.listing.by_status import RECORDED_STATUSES, find_recorded, find_unrecorded
from api.schedules.listing.cursor import START, Filters, ListedStatus, Position, decode, encode
from api.schedules.listing.limits import DEFAULT_LIMITS, SearchLimits
from api.schedules.queries import SELECT, Schedule
from core.results.models import Failure
from core.results.repository import ResultStore

STATUSES = get_args(ListedStatus)

# The conditions on null go away before the statement is planned: psycopg2 writes the values into it.
SELECT_FITTING = (
    SELECT
    + """
    WHERE model_id = ANY (%(model_ids)s::uuid[])
        AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
        AND (%(zone)s IS NULL OR timezone = %(zone)s)
        AND (%(enabled)s IS NULL OR enabled = %(enabled)s)
        AND (%(status)s IS NULL OR status = %(status)s)
"""
)


class Page(NamedTuple):
    """Schedules of a page; others may follow a short or even an empty one."""

    schedules: list[Schedule]
    next_cursor: str | None  # for ?after=; None on the last page


class Search(NamedTuple):
    """The schedules to list, and how to read them."""

    cur: cursor
    results: Callable[[], ResultStore]  # only the filter for failing schedules needs it, and so Redis
    filters: Filters
    limits: SearchLimits = DEFAULT_LIMITS


_Candidates = KeyRange[Position] | KeyRange[Failure]


def read_page(search: Search, after: str | None, limit: int) -> Page:
    """Return schedules that match, from the first one or from the cursor of the page before on.

    A schedule that matches throughout is on exactly one page, whatever happens to others meanwhile.
    Raises InvalidRequest for an `after` that does not come from a page with the same filters.
    """
    filters = search.filters
    position = decode(filters, after) if after is not None else None
    if _are_contradictory(filters):
        return Page([], None)
    schedules: list[Schedule] = []
    deadline = time.monotonic() + search.limits.time_budget
    while True:
        missing = limit - len(schedules)
        keys, position = _find_candidates(search, position, missing)
        matching = _select_fitting(search.cur, filters, keys)
        if len(matching) > missing:
            next_model = matching[missing].model_id
            position = next(key for key in keys if key.model_id == next_model)
        schedules += matching[:missing]
        if position is None or len(schedules) == limit or time.monotonic() > deadline:
            return Page(schedules, position and encode(filters, position))


def _are_contradictory(filters: Filters) -> bool:
    """Return True if no schedule can have both the status and the value of enabled."""
    if filters.status == "paused":
        return filters.enabled is True
    return filters.status in {"scheduled", "new", "late", "error"} and filters.enabled is False


def _find_candidates(search: Search, position: Position | Failure | None, count: int) -> _Candidates:
    """Return the next schedules that may match; none that matches is left out."""
    cur, filters, limits = search.cur, search.filters, search.limits
    if filters.search is not None:
        return _find_searched(search, _table_position(position), count)
    if filters.status == "failing":
        return _find_failing(search, position, count)
    start = _table_position(position)
    if filters.status in RECORDED_STATUSES:
        return find_recorded(cur, filters, start, count, limits)
    if filters.status == "new":
        return find_unrecorded(cur, filters, start, count, limits)
    if filters.status == "paused":
        filters = filters._replace(enabled=False)
    return find_filtered(cur, filters, start, count)


def _find_searched(search: Search, start: Position, count: int) -> _Candidates:
    """Start from those that match the search text, which are usually few."""
    filters = search.filters
    has_other_filters = filters != Filters(search=filters.search)
    size = search.limits.chunk_size if has_other_filters else count
    keys, next_position = find_matching(search.cur, filters, start, size)
    return KeyRange(_filter_failing(search, keys) if filters.status == "failing" else keys, next_position)


def _find_failing(search: Search, position: Position | Failure | None, count: int) -> _Candidates:
    """Start from the failures, or from the schedules that match where these are probably fewer."""
    filters, limits = search.filters, search.limits
    if position is None:
        has_key_filter = filters.cron is not None or filters.zone is not None
        by_schedule = has_key_filter and search.results().count_failing() > limits.max_failures_scanned
    else:
        by_schedule = isinstance(position, Position)
    if by_schedule:
        keys, next_position = find_filtered(search.cur, filters, _table_position(position), limits.chunk_size)
        return KeyRange(_filter_failing(search, keys), next_position)
    start = position if isinstance(position, Failure) else None
    size = count if filters == Filters(status="failing") else limits.chunk_size
    return split_at_limit(search.results().failing(start, size + 1), size, None)


def _filter_failing(search: Search, keys: Sequence[Position]) -> Sequence[Position]:
    failing = search.results().which_fail([str(key.model_id) for key in keys])
    return [key for key, fails in zip(keys, failing, strict=True) if fails]


def _table_position(position: Position | Failure | None) -> Position:
    assert not isinstance(position, Failure), "a failure is no position in the table"
    return position or START


def _select_fitting(cur: cursor, filters: Filters, keys: Sequence[Position | Failure]) -> list[Schedule]:
    """Return the schedules that still exist and match, in the order of the keys."""
    status = None if filters.status == "failing" else filters.status  # Redis has filtered that
    # Failing models come from Redis, and PostgreSQL would reject all of them for one that is no UUID.
    model_ids = [key.model_id for key in keys if UUID.fullmatch(str(key.model_id))]
    cur.execute(SELECT_FITTING, {**filters._asdict(), "status": status, "model_ids": model_ids})
    schedules = {schedule.model_id: schedule for schedule in fetch_records(cur, Schedule)}
    return [schedules[key.model_id] for key in keys if key.model_id in schedules]
