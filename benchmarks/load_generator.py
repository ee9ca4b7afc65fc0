"""Sends requests to a server on this machine and measures the responses, in a process of its own.

Reads a Load from standard input, and writes a LoadResult to standard output, both as JSON.
"""

import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from devstack.ports import HOST

HEADER_END = b"\r\n\r\n"


class Request(NamedTuple):
    """A request to send."""

    method: str
    path: str
    body: str = ""

    def encode(self) -> bytes:
        """Return it as HTTP."""
        header = f"{self.method} {self.path} HTTP/1.1\r\nHost: localhost\r\n"
        if self.body:
            header += f"Content-Type: application/json\r\nContent-Length: {len(self.body.encode())}\r\n"
        return f"{header}\r\n{self.body}".encode()


@dataclass(frozen=True)
class Load:
    """Connections that send requests, each one at a time."""

    port: int
    seconds: float
    clients: int
    requests: Sequence[Request]  # chosen at random
    rate: int | None = None  # requests per second of all clients, planned in advance; None: as fast as possible

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the load that asdict() made JSON of."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "requests": [Request(*request) for request in fields["requests"]]})


@dataclass(frozen=True)
class LoadResult:
    """Throughput and latencies, which count from the planned time, so that they include stalls of the server."""

    throughput: float  # requests per second
    p50: float  # milliseconds
    p99: float
    failed: int  # responses other than 2xx
    cpu: float  # processor seconds of the generator per second


class Client:
    """A keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.planned_at = 0.0
        self._received = b""

    def send(self, request: bytes, planned_at: float) -> None:
        self.planned_at = planned_at
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """Receive a part of the response; returns the status if the response is complete."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server closed a connection")
        self._received += part
        header, separator, body = self._received.partition(HEADER_END)
        if not separator:
            return None
        length = int(header.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return None
        self._received = b""
        return int(header.split(b" ", 2)[1])


def measure(load: Load) -> LoadResult:
    """Generate a load in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load_generator"]
    text, timeout = json.dumps(asdict(load)), load.seconds + 60
    completed = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=timeout)
    return LoadResult(**json.loads(completed.stdout))


def generate(load: Load) -> LoadResult:
    """Generate a load in this process."""
    requests = [request.encode() for request in load.requests]
    selector = selectors.SelectSelector()  # the others round timeouts up to milliseconds
    idle: deque[Client] = deque()
    for _ in range(load.clients):
        client = Client(load.port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        idle.append(client)
    latencies: list[float] = []
    failed = sent = 0
    cpu, started_at = time.process_time(), time.perf_counter()
    # At least one response: on a busy machine there may be none in a short time.
    while (now := time.perf_counter()) < started_at + load.seconds or not latencies:
        due = len(idle) if load.rate is None else int((now - started_at) * load.rate) - sent
        for _ in range(min(due, len(idle))):
            planned_at = now if load.rate is None else started_at + (sent + 1) / load.rate
            idle.popleft().send(random.choice(requests), planned_at)
            sent += 1
        timeout = 1.0
        if load.rate is not None and idle:
            timeout = max(0.0, started_at + (sent + 1) / load.rate - time.perf_counter())
        for key, _ in selector.select(timeout):
            status = key.data.receive()
            if status is not None:
                latencies.append(time.perf_counter() - key.data.planned_at)
                failed += not 200 <= status < 300
                idle.append(key.data)
    duration = time.perf_counter() - started_at
    latencies.sort()
    return LoadResult(
        throughput=len(latencies) / duration,
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
        failed=failed,
        cpu=(time.process_time() - cpu) / duration,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(generate(Load.from_json(sys.stdin.read())))))
