"""Limits on the work for one page of the list."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchLimits:
    """Sizes of the queries that search for schedules, and the time for all of them."""

    time_budget: float = 0.04  # seconds; a page that has too few schedules by then is short, and the next one continues
    chunk_size: int = 1000  # models in one query of PostgreSQL and Redis
    max_failures_scanned: int = 2000  # beyond, the schedules with a filtered cron or zone are probably fewer
    max_steps: int = 200  # of one statement: cron specs, or windows of a large one
    window: int = 500  # models of a cron spec that a step reads
    max_recorded_specs: int = 2500  # after which one statement looks for an unrecorded one


DEFAULT_LIMITS = SearchLimits()
