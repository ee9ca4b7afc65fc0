"""Reading and writing results; the first result of a model and due time wins."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import redis

from core.lua_scripts import read_script
from core.results.codec import (
    MAX_ERROR_LENGTH,
    STATUS_CODES,
    UNCHANGED,
    UnreadableResult,
    decode_accuracy,
    decode_confusion,
    decode_result,
    encode_confusion,
    encode_result,
    label_row_end,
    version_end,
)
from core.results.keys import COUNTS_KEY, FAILING_KEY, confusion_key, results_key, score, score_range
from core.results.models import Failure, LatestConfusion, NewestRowVersion, RecentResults, Result, ResultTotals
from core.results.replies import counter, reply_or_error, unless_wrong_type
from core.timestamps import MILLISECOND, epoch_milliseconds

T = TypeVar("T")

log = logging.getLogger(__name__)

SCRIPT_BATCH = 100  # results in one call of a script, while which Redis does nothing else
HOUR = timedelta(hours=1)


class ResultStore:
    """The results in one Redis."""

    def __init__(
        self, client: redis.Redis, *, history: int = 1000, ttl_days: int = 400, batch_time: timedelta = HOUR
    ) -> None:
        """Store the newest `history` results of a model, for `ttl_days` after its latest one.

        batch_time is the longest time between the calculation of a result and its arrival in Redis.
        """
        self._client = client
        self._history = history
        self._ttl = ttl_days * 24 * 3600  # seconds
        self._batch_time = batch_time
        self._add_results = client.register_script(read_script(__package__, "scripts/add_results.lua"))
        self._add_unchanged = client.register_script(read_script(__package__, "scripts/add_unchanged.lua"))
        self._delete_stale_failures = client.register_script(
            read_script(__package__, "scripts/delete_stale_failures.lua")
        )
        self._list_failing = client.register_script(read_script(__package__, "scripts/list_failing.lua"))

    def save(self, results: Iterable[Result]) -> None:
        """Store results, each unless its model has one of the same due time.

        Stored results that are later than the clock, since they were added while it was ahead, do not count as the
        latest ones here.
        """
        for portion in _portions(results):
            keys = [FAILING_KEY, COUNTS_KEY]
            values: list[str | bytes | int] = [self._history, self._ttl]
            for result in portion:
                keys += [results_key(result.model_id), confusion_key(result.model_id)]
                values += [repr(score(result.due_at)), encode_result(result), result.status]
                latest_possible = max(result.due_at, result.calculated_at + self._batch_time)
                values += [result.model_id, encode_confusion(result), repr(score(latest_possible))]
            removed: Any = self._add_results(keys=keys, args=values)
            for name in removed:
                log.error("deleted Redis key of another type than expected: %s", name.decode())

    def save_unchanged(
        self, versions: Sequence[NewestRowVersion], due_at: datetime, calculated_at: datetime
    ) -> list[str]:
        """Store a result for each model whose latest result is ok and of this label row version; return these models.

        The metrics are those of the latest result. Needs neither the labels nor a round trip per model.
        """
        lag = (calculated_at - due_at) // MILLISECOND
        saved = []
        for portion in _portions(versions):
            keys = [COUNTS_KEY]
            values: list[str | bytes | int] = [epoch_milliseconds(due_at), repr(score(due_at)), lag]
            values += [UNCHANGED, self._history, self._ttl]
            for version in portion:
                keys += [results_key(version.model_id), confusion_key(version.model_id)]
                values += [label_row_end(version.result_id, version.timestamp), version_end(version.row_version)]
            indexes: Any = self._add_unchanged(keys=keys, args=values)
            saved += [portion[index].model_id for index in indexes]
        return saved

    def latest(self, model_id: str) -> Result | None:
        """Return the result of the latest due time; None if there is none, or it is unreadable."""
        [members] = self._latest_members([model_id], 1)
        return _first_result(model_id, members)

    def latest_of(self, model_ids: Sequence[str]) -> list[Result | None]:
        """Return latest() of each model, in one round trip."""
        latest_members = self._latest_members(model_ids, 1)
        return [_first_result(model_id, members) for model_id, members in zip(model_ids, latest_members, strict=True)]

    def recent_of(self, model_ids: Sequence[str], count: int) -> list[RecentResults]:
        """Return at most count (1 or more) latest results of each model, in one round trip."""
        return [
            RecentResults(_first_result(model_id, members), [decode_accuracy(member) for member in members])
            for model_id, members in zip(model_ids, self._latest_members(model_ids, count), strict=True)
        ]

    def _latest_members(self, model_ids: Sequence[str], count: int) -> list[list[bytes]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for model_id in model_ids:
                pipeline.zrange(results_key(model_id), 0, count - 1, desc=True)
            replies = pipeline.execute(raise_on_error=False)
        return [unless_wrong_type(members, []) for members in replies]

    def latest_confusion(self, model_id: str) -> LatestConfusion | None:
        """Return the confusion matrix of the latest result; None if there is none, or it is unreadable."""
        key = confusion_key(model_id)
        value: Any = unless_wrong_type(reply_or_error(lambda: self._client.get(key)), None)
        try:
            return None if value is None else decode_confusion(value)
        except (ValueError, TypeError, OverflowError, RecursionError):
            log.warning("unreadable confusion matrix in %s: %r", key, value[:MAX_ERROR_LENGTH])
            return None

    def totals(self) -> ResultTotals:
        """Return the counts over all models, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(COUNTS_KEY)
            pipeline.zcard(FAILING_KEY)
            counts, failing = pipeline.execute(raise_on_error=False)
        counts, failing = unless_wrong_type(counts, {}), unless_wrong_type(failing, 0)
        added = {status: counter(counts.get(status.encode())) for status in STATUS_CODES}
        return ResultTotals(added, failing)

    def history(
        self, model_id: str, since: datetime | None, before: datetime | None, *, limit: int, newest_first: bool
    ) -> list[Result]:
        """Return at most limit results, of due times since (inclusive) to before (exclusive); None: unbounded.

        Unreadable results are left out.
        """
        lowest, highest = score_range(since, before)
        results: list[Result] = []
        while len(results) < limit:
            missing = limit - len(results)
            members = self._members(model_id, lowest, highest, missing, newest_first=newest_first)
            results += filter(None, (_first_result(model_id, [member]) for member, _ in members))
            if len(members) < missing:
                break
            edge = f"({members[-1][1]!r}"
            lowest, highest = (lowest, edge) if newest_first else (edge, highest)
        return results

    def newest(self, model_id: str, before: datetime | None, limit: int) -> list[Result | None]:
        """Return the newest results of due times before (exclusive; None: unbounded); None for an unreadable one."""
        members = self._members(model_id, *score_range(None, before), limit, newest_first=True)
        return [_first_result(model_id, [member]) for member, _ in members]

    def _members(
        self, model_id: str, lowest: str, highest: str, limit: int, *, newest_first: bool
    ) -> list[tuple[bytes, float]]:
        """Return members with their scores, within bounds in the syntax of Redis."""
        start, end = (highest, lowest) if newest_first else (lowest, highest)
        reply = reply_or_error(
            lambda: self._client.zrange(
                results_key(model_id),
                start,
                end,
                byscore=True,
                desc=newest_first,
                offset=0,
                num=limit,
                withscores=True,
            )
        )
        return [(member, score) for member, score in unless_wrong_type(reply, [])]

    def missing(self, model_ids: Sequence[str], due_at: datetime) -> list[str]:
        """Return the models that have no result of the due time."""
        due_score = score(due_at)
        with self._client.pipeline(transaction=False) as pipeline:
            for model_id in model_ids:
                pipeline.zcount(results_key(model_id), due_score, due_score)
            counts = pipeline.execute(raise_on_error=False)
        return [model_id for model_id, count in zip(model_ids, counts, strict=True) if not unless_wrong_type(count, 0)]

    def failing(self, after: Failure | None, count: int) -> list[Failure]:
        """Return failing models behind a position, those that failed last first; None: from the first one.

        A model that fails again keeps its position. The cost does not grow with the number of failing models, and the
        model of the position need not fail any more.
        """
        position: list[str | bytes | int] = ["", ""] if after is None else [repr(after.since), after.model_id]
        reply = reply_or_error(lambda: self._list_failing(keys=[FAILING_KEY], args=[*position, count]))
        members = unless_wrong_type(reply, [])
        return [
            Failure(float(score), member.decode(errors="replace"))
            for member, score in zip(members[::2], members[1::2], strict=True)
        ]

    def count_failing(self) -> int:
        """Return the number of failing models."""
        return int(unless_wrong_type(reply_or_error(lambda: self._client.zcard(FAILING_KEY)), 0))

    def which_fail(self, model_ids: Sequence[str]) -> list[bool]:
        """Return for each model whether it fails."""
        if not model_ids:
            return []
        reply = reply_or_error(lambda: self._client.zmscore(FAILING_KEY, list(model_ids)))
        scores = unless_wrong_type(reply, [None] * len(model_ids))
        return [score is not None for score in scores]

    def delete_stale_failures(self, cursor: int) -> int:
        """Delete, from a portion of the failing models, those whose results have expired.

        Start with cursor 0; returns the next one, 0 after the last portion.
        """
        reply: Any = self._client.zscan(FAILING_KEY, cursor, count=SCRIPT_BATCH)
        next_cursor, members = reply
        model_ids = [member for member, _ in members]
        keys = [FAILING_KEY, *(results_key(model_id.decode(errors="replace")) for model_id in model_ids)]
        self._delete_stale_failures(keys=keys, args=model_ids)
        return int(next_cursor)


def _portions(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while portion := list(itertools.islice(remaining, SCRIPT_BATCH)):
        yield portion


def _first_result(model_id: str, members: Sequence[bytes]) -> Result | None:
    """Return the first of the members as a result; None if there is none, or it is unreadable, which is logged."""
    try:
        return decode_result(model_id, members[0]) if members else None
    except UnreadableResult as error:
        log.warning("%s", error)
        return None
