"""ETags of schedules, for optimistic locking."""

from flask import request

from api.contract.conditional_get import content_tag
from api.problems import MAX_QUOTED_LENGTH, PreconditionFailed
from api.schedules.queries import Schedule


def schedule_tag(schedule: Schedule) -> str:
    """Return the tag of what users can change of a schedule, which its runs do not change.

    Clients store tags: fields and their order are the same in all versions.
    """
    content = (
        schedule.model_id,
        schedule.created_at,
        schedule.updated_at,
        schedule.name,
        schedule.cron_expression,
        schedule.timezone,
        schedule.enabled,
    )
    return content_tag(repr(content).encode())


def check_preconditions(schedule: Schedule | None) -> None:
    """Raise PreconditionFailed if the request has an If-Match or If-None-Match that the schedule does not satisfy."""
    tag = schedule_tag(schedule) if schedule else None
    if "If-Match" in request.headers and not (tag and request.if_match.contains(tag)):
        state = f'its ETag is "{tag}"' if tag else "there is none"
        raise PreconditionFailed(f"If-Match is {_quoted('If-Match')}, and {state}; get the schedule again")
    if tag and "If-None-Match" in request.headers and request.if_none_match.contains(tag):
        raise PreconditionFailed(f"If-None-Match is {_quoted('If-None-Match')}, and there is a schedule")


def _quoted(header: str) -> str:
    return request.headers[header][:MAX_QUOTED_LENGTH]
