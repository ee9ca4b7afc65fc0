"""The results in Redis: their keys, their format, and who was first.

For each model a sorted set: the score is the moment in epoch seconds (with milliseconds),
the member a compact JSON array. The pair (model, moment) is a result's identity.
Of the latest result alone, a string of compact JSON: its confusion matrix, and which row it is of.
"""

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import redis

from core.metrics.confusion_matrix import Confusion
from core.results.scripts import ADD, DELETE_STALE_FAILURES, FAILING_FROM, REPEAT
from core.timestamps import EPOCH, MILLISECOND, epoch_microseconds, epoch_milliseconds, iso

log = logging.getLogger(__name__)

Status = Literal["ok", "no_data", "error"]

FAILING = "metrics:failing"  # sorted set: models whose last result was not ok, by the first moment since they fail
COUNTS = "metrics:counts"  # a hash: results added since Redis was empty, by status
BEGUN_TTL = 86400  # seconds; a message comes back long before, or not at all
LONGEST_ERROR = 160  # characters
ACCURACY = 3  # the place of it in a member
STATUS_CODES: dict[Status, int] = {"ok": 0, "no_data": 1, "error": 2}
UNCHANGED = 3  # in a member: ok, and the same as before, since the row is the same
STATUS_NAMES: dict[int, Status] = {code: status for status, code in STATUS_CODES.items()} | {UNCHANGED: "ok"}
SCORING = 1  # to be raised when the same row would be worth something else
HOUR = timedelta(hours=1)
AT_A_TIME = 100  # results in a call of a script; Redis does nothing else meanwhile


@dataclass(frozen=True)
class Result:
    """What a model's newest row was worth at one moment."""

    model_id: str
    due_at: datetime
    calculated_at: datetime  # when the row was read, by the clock of PostgreSQL
    status: Status
    accuracy: float | None = None
    samples: int = 0
    result_id: int | None = None  # results.id of the row
    data_timestamp: datetime | None = None  # results.timestamp of the row
    error: str | None = None
    unchanged: bool = False  # the row is the one of the result before, and so are the figures
    confusion: Confusion | None = field(default=None, compare=False)  # kept of the latest result alone, as its Detail
    row_version: str = field(default="", compare=False)  # kept as well; empty: the row is read again the next time

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "model_id": self.model_id,
            "due_at": iso(self.due_at, "milliseconds"),
            "calculated_at": iso(self.calculated_at, "milliseconds"),
            "status": self.status,
            "metrics": {"accuracy": self.accuracy},
            "samples": self.samples,
            "result_id": self.result_id,
            "data_timestamp": self.data_timestamp and iso(self.data_timestamp, "microseconds"),
            "error": self.error,
            "unchanged": self.unchanged,
        }


class SeenRow(NamedTuple):
    """A model and which row of results is its newest, without the labels."""

    model_id: str
    result_id: int
    timestamp: datetime
    row_version: str  # another one after whichever change of the row


class Detail(NamedTuple):
    """The confusion matrix of a model's latest result, and that result's moment."""

    due_at: datetime
    confusion: Confusion


class Failure(NamedTuple):
    """A model whose last result was not ok, and the first of the moments since it was."""

    since: float  # epoch seconds
    model_id: str


class Recent(NamedTuple):
    """What the latest results of a model say."""

    latest: Result | None
    figures: list[float | None]  # their accuracies, the newest first


NOTHING = Recent(None, [])


class Totals(NamedTuple):
    """How many results there were, and how many models are in trouble now."""

    added: dict[Status, int]  # since Redis was empty; what was trimmed since included
    failing: int  # models whose latest result is not ok


class Unreadable(ValueError):
    """Something else than a result, which somebody has put where results are."""


class Results:
    """The results that a Redis holds."""

    def __init__(
        self, client: redis.Redis, *, history: int = 1000, ttl_days: int = 400, batch_time: timedelta = HOUR
    ) -> None:
        """Keep the newest `history` results of a model, `ttl_days` after the last of them.

        batch_time is how long it may take at most from the calculation of a result until it is stored.
        """
        self._client = client
        self._history = history
        self._ttl = ttl_days * 24 * 3600  # seconds
        self._batch_time = batch_time
        self._add = client.register_script(ADD)
        self._delete_stale_failures = client.register_script(DELETE_STALE_FAILURES)
        self._repeat = client.register_script(REPEAT)
        self._failing_from = client.register_script(FAILING_FROM)

    def save(self, results: Iterable[Result]) -> None:
        """Store results, each unless its model has one of that moment: the first one counts.

        Those that are later than the clock, since they were added while it was ahead, do not count as the latest here.
        """
        remaining = iter(results)
        while portion := list(itertools.islice(remaining, AT_A_TIME)):
            keys = [FAILING, COUNTS]
            values: list[str | bytes | int] = [self._history, self._ttl]
            for result in portion:
                keys += [key(result.model_id), detail_key(result.model_id)]
                values += [repr(_score(result.due_at)), encode(result), result.status]
                latest_possible = max(result.due_at, result.calculated_at + self._batch_time)
                values += [result.model_id, encode_detail(result), repr(_score(latest_possible))]
            removed: Any = self._add(keys=keys, args=values)
            for name in removed:
                log.error("deleted a Redis key of another type than ours: %s", name.decode())

    def repeat(self, seen: Sequence[SeenRow], due_at: datetime, calculated_at: datetime) -> list[str]:
        """Store the result of a moment for each model whose latest one is of this very row, and ok; which they are.

        The figures are those of that result. Without a round trip for each of them, and without the labels.
        """
        due = epoch_milliseconds(due_at)
        lag = (calculated_at - due_at) // MILLISECOND
        repeated = []
        for start in range(0, len(seen), AT_A_TIME):
            portion = seen[start : start + AT_A_TIME]
            keys = [COUNTS]
            values: list[str | bytes | int] = [due, repr(_score(due_at)), lag, UNCHANGED, self._history, self._ttl]
            for row in portion:
                keys += [key(row.model_id), detail_key(row.model_id)]
                values += [f",{row.result_id},{epoch_microseconds(row.timestamp)}]", _version_end(row.row_version)]
            places: Any = self._repeat(keys=keys, args=values)
            repeated += [portion[place].model_id for place in places]
        return repeated

    def latest(self, model_id: str) -> Result | None:
        """Return the result of the latest moment, if there is one that can be read."""
        [members] = self._latest_members([model_id], 1)
        return _readable(model_id, members)

    def latest_of(self, model_ids: Sequence[str]) -> list[Result | None]:
        """Return the latest result of each model, in one round trip; None where there is none that can be read."""
        found = self._latest_members(model_ids, 1)
        return [_readable(model_id, members) for model_id, members in zip(model_ids, found, strict=True)]

    def recent_of(self, model_ids: Sequence[str], count: int) -> list[Recent]:
        """Return what the latest results of each model say, at most count (1 or more), in one round trip."""
        return [
            Recent(_readable(model_id, members), [_accuracy(member) for member in members])
            for model_id, members in zip(model_ids, self._latest_members(model_ids, count), strict=True)
        ]

    def _latest_members(self, model_ids: Sequence[str], count: int) -> list[list[bytes]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for model_id in model_ids:
                pipeline.zrange(key(model_id), 0, count - 1, desc=True)
            found = pipeline.execute(raise_on_error=False)
        return [_unless_wrong_type(members, []) for members in found]

    def detail(self, model_id: str) -> Detail | None:
        """Return the confusion matrix of the latest result, if that has one that can be read."""
        found: Any = _unless_wrong_type(_attempt(lambda: self._client.get(detail_key(model_id))), None)
        try:
            return None if found is None else decode_detail(found)
        except (ValueError, TypeError, OverflowError, RecursionError):
            log.warning("%s holds what is no confusion matrix: %r", detail_key(model_id), found[:LONGEST_ERROR])
            return None

    def totals(self) -> Totals:
        """Return the figures over all models, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(COUNTS)
            pipeline.zcard(FAILING)
            counts, failing = pipeline.execute(raise_on_error=False)
        counts, failing = _unless_wrong_type(counts, {}), _unless_wrong_type(failing, 0)
        return Totals({status: _count(counts.get(status.encode())) for status in STATUS_CODES}, failing)

    def history(
        self, model_id: str, since: datetime | None, before: datetime | None, *, limit: int, newest_first: bool
    ) -> list[Result]:
        """Return results of the moments from since on (None: the first one) and before before (None: the last one).

        Unreadable members are left out.
        """
        lowest, highest = _bounds(since, before)
        found: list[Result] = []
        while len(found) < limit:
            wanted = limit - len(found)
            members = self._members(model_id, lowest, highest, wanted, newest_first=newest_first)
            found += filter(None, (_readable(model_id, [member]) for member, _ in members))
            if len(members) < wanted:
                break
            edge = f"({members[-1][1]!r}"
            lowest, highest = (lowest, edge) if newest_first else (edge, highest)
        return found

    def newest(self, model_id: str, before: datetime | None, limit: int) -> list[Result | None]:
        """Return the newest results of the moments before before (None: of all); None for one that cannot be read."""
        members = self._members(model_id, *_bounds(None, before), limit, newest_first=True)
        return [_readable(model_id, [member]) for member, _ in members]

    def _members(
        self, model_id: str, lowest: str, highest: str, limit: int, *, newest_first: bool
    ) -> list[tuple[bytes, float]]:
        """Return members with their scores, within bounds as Redis writes them."""
        start, end = (highest, lowest) if newest_first else (lowest, highest)
        found = _attempt(
            lambda: self._client.zrange(
                key(model_id),
                start,
                end,
                byscore=True,
                desc=newest_first,
                offset=0,
                num=limit,
                withscores=True,
            )
        )
        return [(member, score) for member, score in _unless_wrong_type(found, [])]

    def missing(self, model_ids: Sequence[str], due_at: datetime) -> list[str]:
        """Return the models that have no result of the moment."""
        score = _score(due_at)
        with self._client.pipeline(transaction=False) as pipeline:
            for model_id in model_ids:
                pipeline.zcount(key(model_id), score, score)
            counts = pipeline.execute(raise_on_error=False)
        return [model_id for model_id, count in zip(model_ids, counts, strict=True) if not _unless_wrong_type(count, 0)]

    def failing(self, start: Failure | None, count: int) -> list[Failure]:
        """Return models that fail, the latest to begin first, from a place in that order on.

        A model that fails again keeps its place. Takes as long for a million models as for
        a few, and the place need not be that of a model that still fails.
        """
        place: list[str | bytes | int] = ["", ""] if start is None else [repr(start.since), start.model_id]
        found = _unless_wrong_type(_attempt(lambda: self._failing_from(keys=[FAILING], args=[*place, count])), [])
        return [
            Failure(float(score), member.decode(errors="replace"))
            for member, score in zip(found[::2], found[1::2], strict=True)
        ]

    def count_failing(self) -> int:
        """Return how many models fail."""
        return int(_unless_wrong_type(_attempt(lambda: self._client.zcard(FAILING)), 0))

    def are_failing(self, model_ids: Sequence[str]) -> list[bool]:
        """Return for each model whether it fails."""
        if not model_ids:
            return []
        nowhere = [None for _ in model_ids]
        scores = _unless_wrong_type(_attempt(lambda: self._client.zmscore(FAILING, list(model_ids))), nowhere)
        return [score is not None for score in scores]

    def delete_stale_failures(self, cursor: int) -> int:
        """Delete, from a portion of the models that fail, those whose results have expired.

        Begins with cursor 0; returns the next one, 0 after the last portion.
        """
        found: Any = self._client.zscan(FAILING, cursor, count=AT_A_TIME)
        following, members = found
        model_ids = [member for member, _ in members]
        keys = [FAILING, *(key(model_id.decode(errors="replace")) for model_id in model_ids)]
        self._delete_stale_failures(keys=keys, args=model_ids)
        return int(following)

    def begin_alone(self, model_id: str, due_at: datetime, token: str) -> int:
        """Note an attempt with one model, known by its token; the answer is how many are noted."""
        name = _begun(model_id, due_at)
        with self._client.pipeline() as pipeline:
            pipeline.sadd(name, token)
            pipeline.expire(name, BEGUN_TTL)
            pipeline.scard(name)
            attempts = pipeline.execute(raise_on_error=False)[-1]
        if _unless_wrong_type(attempts, None) is None:
            self._client.delete(name)
            return self.begin_alone(model_id, due_at, token)
        return int(attempts)

    def forget_begun(self, model_id: str, due_at: datetime, token: str) -> None:
        """Forget an attempt: its process did not end, it only stopped."""
        _unless_wrong_type(_attempt(lambda: self._client.srem(_begun(model_id, due_at), token)), 0)


def _attempt(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the error that Redis answers, as a pipeline does."""
    try:
        return call()
    except redis.ResponseError as error:
        return error


def _unless_wrong_type(reply: Any, otherwise: Any) -> Any:
    """Return a reply of Redis; otherwise where the key is of another type than ours, since it holds nothing of ours.

    Raises any other error.
    """
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and "WRONGTYPE" in str(reply):  # of a script, further behind
        log.warning("a Redis key is of another type than ours: it counts as absent")
        return otherwise
    raise reply


def _count(value: bytes | None) -> int:
    """Return a counter; 0 where it holds no whole number."""
    return int(value) if value is not None and value.isdigit() else 0


def key(model_id: str) -> str:
    """Return the name of a model's sorted set; model_id is a UUID in lower case."""
    return f"metrics:results:{model_id}"


def detail_key(model_id: str) -> str:
    """Return the name of the string that holds a model's Detail."""
    return f"metrics:detail:{model_id}"


def encode(result: Result) -> bytes:
    """Return a result as short as it gets: milliseconds, codes, and no nulls at the end."""
    fields = [
        epoch_milliseconds(result.due_at),
        (result.calculated_at - result.due_at) // MILLISECOND,
        UNCHANGED if result.unchanged else STATUS_CODES[result.status],
        result.accuracy,
        result.samples,
        result.result_id,
        result.data_timestamp and epoch_microseconds(result.data_timestamp),
        result.error and result.error[:LONGEST_ERROR],
    ]
    while fields[-1] is None:
        fields.pop()
    return _json(fields)


def decode(model_id: str, member: bytes) -> Result:
    """Return the result that encode() wrote. Raises Unreadable for anything else."""
    try:
        return _decode(model_id, member)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise Unreadable(f"{key(model_id)} holds what is no result: {member[:LONGEST_ERROR]!r}") from error


def _readable(model_id: str, members: Sequence[bytes]) -> Result | None:
    """Return the first of members, if there is one and it is a result; otherwise the log says which model has it."""
    try:
        return decode(model_id, members[0]) if members else None
    except Unreadable as error:
        log.warning("%s", error)
        return None


def _accuracy(member: bytes) -> float | None:
    """Return the accuracy alone: a tenth of the time of decode(). None, too, where that would raise Unreadable."""
    try:
        accuracy = json.loads(member)[ACCURACY]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None


def _decode(model_id: str, member: bytes) -> Result:
    fields = json.loads(member)
    due, lag, code, accuracy, samples, result_id, data, error = fields + [None] * (8 - len(fields))
    if accuracy is not None and not 0 <= accuracy <= 1:  # NaN neither, which json reads
        raise ValueError("no accuracy")
    due_at = EPOCH + due * MILLISECOND
    return Result(
        model_id=model_id,
        due_at=due_at,
        calculated_at=due_at + lag * MILLISECOND,
        status=STATUS_NAMES[code],
        accuracy=None if accuracy is None else float(accuracy),
        samples=int(samples),
        result_id=result_id,
        data_timestamp=None if data is None else EPOCH + timedelta(microseconds=data),
        error=error,
        unchanged=code == UNCHANGED,
    )


def encode_detail(result: Result) -> bytes:
    """Return a result's moment, its confusion matrix and its row's version, or nothing where it has no matrix."""
    if result.confusion is None:
        return b""
    return _json([epoch_milliseconds(result.due_at), *result.confusion, _version(result.row_version)])


def decode_detail(value: bytes) -> Detail:
    """Return what encode_detail() wrote. Raises ValueError and others for anything else."""
    due, labels, counts, _ = json.loads(value)
    if [len(row) for row in counts] != [len(labels)] * len(labels):
        raise ValueError("the matrix is not square")
    return Detail(EPOCH + due * MILLISECOND, Confusion(labels, [[int(count) for count in row] for row in counts]))


def _version(row_version: str) -> str:
    """Return what must be the same where a result is to be repeated."""
    return f"{SCORING}.{row_version}" if row_version else ""


def _version_end(row_version: str) -> str:
    """Return how a detail of this version ends."""
    return f',"{_version(row_version)}"]'


def _json(fields: list[Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


def _begun(model_id: str, due_at: datetime) -> str:
    return f"metrics:begun:{model_id}:{_score(due_at)!r}"


def _score(due_at: datetime) -> float:
    return epoch_milliseconds(due_at) / 1000


def _bounds(since: datetime | None, before: datetime | None) -> tuple[str, str]:
    """Return the scores from since on and before before, as Redis writes bounds."""
    lowest = "-inf" if since is None else repr(_bound(since))
    highest = "+inf" if before is None else f"({_bound(before)!r}"
    return lowest, highest


def _bound(instant: datetime) -> float:
    """Return the score of the first millisecond that is not before an instant, which may be the last one there is."""
    return -((EPOCH - instant) // MILLISECOND) / 1000
