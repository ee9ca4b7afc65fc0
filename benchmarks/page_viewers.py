"""Pages that are open in browsers: each asks for itself as api/pages/static/live.js does, in a process of its own.

Reads what to do from standard input, and writes what it saw to standard output, both as JSON.
"""

import asyncio
import gzip
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field

from devstack.ports import HOST

EVERY = 1.0  # seconds from an answer to the next question
MARK = re.compile(rb"mark-([0-9]+)-")
HANGS = 30.0  # seconds
ENDS = b"\r\n\r\n"


@dataclass(frozen=True)
class Viewers:
    """Whom to be: one for each address."""

    port: int
    seconds: float
    paths: list[str]


@dataclass
class Seen:
    """What they got."""

    latencies: list[float] = field(default_factory=list)  # seconds
    statuses: dict[int, int] = field(default_factory=dict)
    marks: list[tuple[int, float]] = field(default_factory=list)  # which, and when by the clock all processes share
    bytes: int = 0


async def view(viewers: Viewers, path: str, delay: float, seen: Seen) -> None:
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection(HOST, viewers.port)
    etag, last = "", -1
    until = time.monotonic() + viewers.seconds
    while time.monotonic() < until:
        began = time.monotonic()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n"
            f"If-None-Match: {etag}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(ENDS), HANGS)
        found = re.search(rb"(?i)content-length: ([0-9]+)", head)
        body = await reader.readexactly(int(found[1])) if found and b" 304 " not in head[:20] else b""
        seen.latencies.append(time.monotonic() - began)
        status = int(head.split(b" ", 2)[1])
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        seen.bytes += len(head) + len(body)
        if status == 200:
            tag = re.search(rb"(?i)etag: (\S+)", head)
            etag = tag[1].decode() if tag else ""
            mark = MARK.search(gzip.decompress(body))
            if mark and int(mark[1]) > last:
                last = int(mark[1])
                seen.marks.append((last, time.monotonic()))
        await asyncio.sleep(EVERY)
    writer.close()


async def run(viewers: Viewers) -> Seen:
    seen = Seen()
    share = EVERY / len(viewers.paths)
    await asyncio.gather(*(view(viewers, path, place * share, seen) for place, path in enumerate(viewers.paths)))
    return seen


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(run(Viewers(**json.load(sys.stdin))))), sys.stdout)
