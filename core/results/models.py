"""Value types of results."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from core.metrics.confusion_matrix import ConfusionMatrix
from core.timestamps import iso

Status = Literal["ok", "no_data", "error"]
STATUSES: tuple[Status, ...] = ("ok", "no_data", "error")


@dataclass(frozen=True)
class Result:
    """The outcome of a run: the score of a model's newest label row at one due time."""

    model_id: str
    due_at: datetime
    calculated_at: datetime  # when the label row was read, by the clock of PostgreSQL
    status: Status
    accuracy: float | None = None
    samples: int = 0
    result_id: int | None = None  # results.id of the label row
    data_timestamp: datetime | None = None  # results.timestamp of the label row
    error: str | None = None
    unchanged: bool = False  # same label row as for the result before, so the same metrics
    confusion: ConfusionMatrix | None = field(default=None, compare=False)  # stored for the latest result only
    row_version: str = field(default="", compare=False)  # likewise; empty: the label row is read again at the next run

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, as the API shows it."""
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


class NewestRowVersion(NamedTuple):
    """A model and the identity of its newest label row, without the labels."""

    model_id: str
    result_id: int
    timestamp: datetime
    row_version: str  # changes with any change of the row


class LatestConfusion(NamedTuple):
    """Confusion matrix of a model's latest result, and the due time of that result."""

    due_at: datetime
    confusion: ConfusionMatrix


class Failure(NamedTuple):
    """A model whose latest result is not ok, and the due time of the first result since then."""

    since: float  # epoch seconds
    model_id: str


class RecentResults(NamedTuple):
    """Latest result of a model, and the accuracies of the latest ones."""

    latest: Result | None
    accuracies: list[float | None]  # newest first


NO_RESULTS = RecentResults(None, [])


class ResultTotals(NamedTuple):
    """Counts over all models."""

    added: dict[Status, int]  # since Redis was empty, trimmed results included
    failing: int  # models whose latest result is not ok
