"""Sends requests to a server on this machine and measures the answers, in a process of its own.

Reads what to do from standard input, and writes what it found to standard output, both as JSON.
"""

import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from devstack.ports import HOST

ENDS = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What to send: `clients` connections, each with one request at a time."""

    port: int
    seconds: float
    clients: int
    calls: list[list[str]]  # method, path, body; taken at random
    rate: int | None = None  # requests per second of all clients, planned in advance; None: as fast as answers come


@dataclass(frozen=True)
class Measured:
    """What came back; a latency counts from the planned time, so that a server that stalls is not spared."""

    per_second: float
    p50: float  # milliseconds
    p99: float
    failed: int  # answers that are not 2xx
    cpu: float  # seconds of processor of this process, per second


class Client:
    """A connection that is kept."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.planned = 0.0
        self._received = b""

    def send(self, request: bytes, planned: float) -> None:
        self.planned = planned
        self.socket.sendall(request)

    def answer(self) -> int | None:
        """Return the status of an answer that is there as a whole."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server closed a connection")
        self._received += part
        header, found, body = self._received.partition(ENDS)
        if not found:
            return None
        length = int(header.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return None
        self._received = b""
        return int(header.split(b" ", 2)[1])


def measure(load: Load) -> Measured:
    """Run a load in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load_generator"]
    ran = subprocess.run(
        command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True, timeout=load.seconds + 60
    )
    return Measured(**json.loads(ran.stdout))


def run(load: Load) -> Measured:
    requests = [_request(*call) for call in load.calls]
    selector = selectors.SelectSelector()  # the others round waits up to milliseconds
    free: deque[Client] = deque()
    for _ in range(load.clients):
        client = Client(load.port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        free.append(client)
    latencies: list[float] = []
    failed = sent = 0
    cpu, began = time.process_time(), time.perf_counter()
    # At least one response: a busy machine may give none in a short time.
    while (now := time.perf_counter()) < began + load.seconds or not latencies:
        due = len(free) if load.rate is None else int((now - began) * load.rate) - sent
        for _ in range(min(due, len(free))):
            planned = now if load.rate is None else began + (sent + 1) / load.rate
            free.popleft().send(random.choice(requests), planned)
            sent += 1
        wait = 1.0 if load.rate is None or not free else max(0.0, began + (sent + 1) / load.rate - time.perf_counter())
        for key, _ in selector.select(wait):
            status = key.data.answer()
            if status is not None:
                latencies.append(time.perf_counter() - key.data.planned)
                failed += not 200 <= status < 300
                free.append(key.data)
    took = time.perf_counter() - began
    latencies.sort()
    return Measured(
        per_second=len(latencies) / took,
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
        failed=failed,
        cpu=(time.process_time() - cpu) / took,
    )


def _request(method: str, path: str, body: str) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
    return f"{head}\r\n{body}".encode()


if __name__ == "__main__":
    given: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(asdict(run(Load(**given)))))
