"""Conditional GET: ETags of responses, and 304 for a client that has the content already."""

import hashlib

from flask import Response, request

from api.contract.operation import ResponseSpec

ETAG_HEADER = {"ETag": "Of the response; for If-None-Match."}
IF_NONE_MATCH_HEADER = {"If-None-Match": "Respond with 304 where the content has this ETag."}
NOT_MODIFIED = ResponseSpec("The client has it already.", None, ETAG_HEADER)


def make_conditional(response: Response) -> Response:
    """Add the ETag of the content and of the Link header; 304 without a body where If-None-Match has it."""
    # A page may stay the same while a next one begins behind it.
    response.headers["ETag"] = f'"{content_tag(response.get_data() + response.headers.get("Link", "").encode())}"'
    response.headers["Cache-Control"] = "no-cache"  # store it, but revalidate before using it again
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


def content_tag(content: bytes) -> str:
    """Return an opaque tag of a content."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()
