"""HTTP request parser: waitress's, which also rejects what two parsers might read differently."""

import time
from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError

from api.http.limits import MAX_BODY_SIZE, MAX_HEADER_SIZE, max_body_size
from api.problems import BY_STATUS, BadRequest, ContentTooLarge, HeaderFieldsTooLarge, InternalServerError, Problem

MAX_MESSAGE_LENGTH = 200  # characters of an error of waitress that a detail quotes


class Request(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """One request; the bytes that follow its last one are passed to the callback, unparsed."""

    error: Any  # of waitress or a Problem
    body_bytes_received: int
    command = path = ""  # as long as there is no first line

    def __init__(self, adj: object, on_surplus: Callable[[bytes], None]) -> None:
        super().__init__(adj)
        self.started_at = time.monotonic()
        self._on_surplus = on_surplus

    def received(self, data: bytes) -> int:
        """Return how many bytes were consumed: all of them, once the request is complete."""
        consumed = super().received(data)
        if self.headers_finished and not self.error:
            limit = max_body_size(self.command, self.path)
            if max(self.content_length, self.body_bytes_received) > limit:
                self.error = ContentTooLarge(f"the body has more than {limit:,} bytes; send less at once")
                self.completed = True
        if not self.completed:
            return int(consumed)
        # waitress would send 100 Continue for a body that is too large or absent, and then receive further requests.
        self.expect_continue = False
        self._on_surplus(data[consumed:])
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Raise ParsingError, to which waitress responds, where waitress itself would fail or guess."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a URL like http://[, a length of thousands of digits
            raise ParsingError(str(error)) from None
        # waitress removes the first of these if it supports its value.
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Transfer-Encoding needs HTTP/1.1, and no Content-Length beside it")

    @property
    def large_body_bytes(self) -> int:
        """Bytes of the body, if they exceed what every connection may send."""
        return self.body_bytes_received if self.body_bytes_received > MAX_BODY_SIZE else 0

    def reject(self, problem: Problem) -> None:
        """Free the body and complete the request with an error."""
        self.close()
        self.body_bytes_received = 0
        self.error = problem
        self.completed = True


def to_problem(error: Any) -> Problem:
    """Return the problem for the error of a request."""
    if isinstance(error, Problem):
        return error
    if error.code == InternalServerError.status:
        return InternalServerError(InternalServerError.example)
    if error.code == HeaderFieldsTooLarge.status:
        return HeaderFieldsTooLarge(
            f"the address and the headers have more than {MAX_HEADER_SIZE:,} bytes; send less at once"
        )
    kind = BY_STATUS.get(error.code, BadRequest)
    return kind(f"the request cannot be read: {error.body[:MAX_MESSAGE_LENGTH]}")
