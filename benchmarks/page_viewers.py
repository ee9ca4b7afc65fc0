"""Open pages, which poll as api/pages/static/live.js does, in a process of their own.

Reads PageViewers from standard input, and writes ViewerResult to standard output, both as JSON.
"""

import asyncio
import gzip
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from devstack.ports import HOST

POLL_INTERVAL = 1.0  # seconds from a response to the next request
MARK = re.compile(rb"mark-([0-9]+)-")
RESPONSE_TIMEOUT = 30.0  # seconds
HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True)
class PageViewers:
    """One viewer for each path."""

    port: int
    seconds: float
    paths: Sequence[str]


class SeenMark(NamedTuple):
    """A mark that a page shows for the first time."""

    number: int
    seen_at: float  # monotonic seconds, the same in all processes


@dataclass
class ViewerResult:
    """Responses and marks that the viewers received."""

    latencies: list[float] = field(default_factory=list)  # seconds
    statuses: dict[int, int] = field(default_factory=dict)
    marks: list[SeenMark] = field(default_factory=list)
    bytes: int = 0


async def view(viewers: PageViewers, path: str, delay: float, result: ViewerResult) -> None:
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection(HOST, viewers.port)
    etag, last_mark = "", -1
    end = time.monotonic() + viewers.seconds
    while time.monotonic() < end:
        started_at = time.monotonic()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n"
            f"If-None-Match: {etag}\r\n\r\n".encode()
        )
        header = await asyncio.wait_for(reader.readuntil(HEADER_END), RESPONSE_TIMEOUT)
        length = re.search(rb"(?i)content-length: ([0-9]+)", header)
        body = await reader.readexactly(int(length[1])) if length and b" 304 " not in header[:20] else b""
        result.latencies.append(time.monotonic() - started_at)
        status = int(header.split(b" ", 2)[1])
        result.statuses[status] = result.statuses.get(status, 0) + 1
        result.bytes += len(header) + len(body)
        if status == 200:
            tag = re.search(rb"(?i)etag: (\S+)", header)
            etag = tag[1].decode() if tag else ""
            mark = MARK.search(gzip.decompress(body))
            if mark and int(mark[1]) > last_mark:
                last_mark = int(mark[1])
                result.marks.append(SeenMark(last_mark, time.monotonic()))
        await asyncio.sleep(POLL_INTERVAL)
    writer.close()


async def run(viewers: PageViewers) -> ViewerResult:
    """Open all pages, spread over the poll interval."""
    result = ViewerResult()
    offset = POLL_INTERVAL / len(viewers.paths)
    await asyncio.gather(*(view(viewers, path, index * offset, result) for index, path in enumerate(viewers.paths)))
    return result


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(run(PageViewers(**json.load(sys.stdin))))), sys.stdout)
