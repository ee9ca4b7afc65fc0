"""Losses of data, and the results that may be missing after them. Does no I/O."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.cron.spec import CronSpec
from tests.chaos.reconciliation import Observations
from tests.chaos.timeline import Timeline


class LossKind(StrEnum):
    """Names of the faults that lose data."""

    REDIS_EMPTIED = "Redis emptied"
    REDIS_TRUNCATED = "Redis without its last second"
    TABLES_EMPTIED = "crons and fires emptied"


REDIS_LOSSES = {LossKind.REDIS_EMPTIED, LossKind.REDIS_TRUNCATED}


@dataclass(frozen=True)
class DataLoss:
    """A loss of data, and the real time at which it began."""

    kind: LossKind
    at: datetime


def losable_due_times(
    observations: Observations, timeline: Timeline, losses: Sequence[DataLoss]
) -> dict[CronSpec, set[datetime]]:
    """Return the due times whose results may be missing.

    The scheduler publishes the latest due time again if Redis is empty; results of earlier ones are lost. Without the
    table crons there is no record of what was published, so that everything is lost that Redis loses later.
    A truncated append-only file alone loses nothing.
    """
    losable: dict[CronSpec, set[datetime]] = defaultdict(set)
    for loss in losses:
        for spec, published in observations.published.items():
            earlier = {due_at for due_at in published if timeline.real_time(due_at) <= loss.at}
            if loss.kind == LossKind.REDIS_EMPTIED and earlier:
                losable[spec] |= earlier - {max(earlier)}
            elif loss.kind == LossKind.TABLES_EMPTIED and _is_redis_lost_after(loss, losses):
                losable[spec] |= earlier
    return dict(losable)


def _is_redis_lost_after(loss: DataLoss, losses: Sequence[DataLoss]) -> bool:
    return any(later.kind in REDIS_LOSSES and later.at > loss.at for later in losses)
