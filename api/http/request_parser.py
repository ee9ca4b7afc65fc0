"""Requests as they arrive: waitress's parser, which refuses what two readers might understand differently."""

import time
from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError

from api.http.limits import MAX_BODY_SIZE, MAX_HEADER_SIZE, max_body_size
from api.problems import BY_STATUS, BadRequest, ContentTooLarge, HeaderFieldsTooLarge, InternalServerError, Problem

MAX_VALUE_LENGTH = 200  # characters of what is wrong


class Request(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Ends with its own last byte: what comes behind it goes to keep(), and is not read yet."""

    error: Any  # of waitress or a Problem
    body_bytes_received: int
    command = path = ""  # as long as there is no first line

    def __init__(self, adj: object, keep: Callable[[bytes], None]) -> None:
        """Begin with the first byte."""
        super().__init__(adj)
        self.began = time.monotonic()
        self._keep = keep

    def received(self, data: bytes) -> int:
        """Return how many bytes it has taken: all, once it is complete."""
        consumed = super().received(data)
        if self.headers_finished and not self.error:
            largest = max_body_size(self.command, self.path)
            if max(self.content_length, self.body_bytes_received) > largest:
                self.error = ContentTooLarge(f"the body has more than {largest:,} bytes; send less at once")
                self.completed = True
        if not self.completed:
            return int(consumed)
        # waitress would ask for a body that it does not want, or that is not to come, and go on receiving.
        self.expect_continue = False
        self._keep(data[consumed:])
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError, which waitress answers, where it would itself fail or guess."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an address like http://[, a length of thousands of digits
            raise ParsingError(str(error)) from None
        # waitress removes the first of these where it has understood it.
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Transfer-Encoding needs HTTP/1.1, and no Content-Length beside it")

    @property
    def large(self) -> int:
        """Bytes of the body, once they are more than any connection may have."""
        return self.body_bytes_received if self.body_bytes_received > MAX_BODY_SIZE else 0

    def discard(self, reason: Problem) -> None:
        """Free the body, and be refused instead."""
        self.close()
        self.body_bytes_received = 0
        self.error = reason
        self.completed = True


def problem(error: Any) -> Problem:
    """Return what users are told, for an error of waitress or one of ours."""
    if isinstance(error, Problem):
        return error
    if error.code == InternalServerError.status:
        return InternalServerError("Something went wrong here, not with your request. The log says what.")
    if error.code == HeaderFieldsTooLarge.status:
        return HeaderFieldsTooLarge(
            f"the address and the headers have more than {MAX_HEADER_SIZE:,} bytes; send less at once"
        )
    kind = BY_STATUS.get(error.code, BadRequest)
    return kind(f"the request cannot be read: {error.body[:MAX_VALUE_LENGTH]}")
