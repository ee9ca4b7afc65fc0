"""Entity tags: what a caller has seen, so that it neither overwrites what it has not seen nor gets the same twice."""

import hashlib

from flask import Response, request

from api.contract.operation import ResponseSpec
from api.problems import PreconditionFailed
from api.schedules.queries import Schedule

TAG = {"ETag": "Of the answer; for If-None-Match."}
NONE_MATCH = {"If-None-Match": "Do not send what has this ETag; 304 instead."}
UNCHANGED = ResponseSpec("The caller has it already.", None, TAG)


def of_schedule(schedule: Schedule) -> str:
    """Return the tag of what users can change of a schedule; when it runs and what comes of it is not in it."""
    changed = (schedule.model_id, schedule.created_at, schedule.updated_at, *schedule[1:5])
    return _tag(repr(changed).encode())


def require(schedule: Schedule | None) -> None:
    """Raise PreconditionFailed where If-Match or If-None-Match is sent and does not match the schedule."""
    found = of_schedule(schedule) if schedule else None
    if "If-Match" in request.headers and not (found and request.if_match.contains(found)):
        what = f'its ETag is "{found}"' if found else "there is none"
        raise PreconditionFailed(f"If-Match is {request.headers['If-Match'][:80]}, and {what}; get the schedule again")
    if found and "If-None-Match" in request.headers and request.if_none_match.contains(found):
        raise PreconditionFailed(f"If-None-Match is {request.headers['If-None-Match'][:80]}, and there is a schedule")


def cacheable(answer: Response) -> Response:
    """Give an answer the tag of its content and its Link; 304 without a body where the caller has them already."""
    # A page may stay the same while a next one begins behind it.
    answer.headers["ETag"] = f'"{_tag(answer.get_data() + answer.headers.get("Link", "").encode())}"'
    answer.headers["Cache-Control"] = "no-cache"  # keep it, but ask before using it again
    if "If-None-Match" in request.headers:
        answer.make_conditional(request)
    return answer


def _tag(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()
