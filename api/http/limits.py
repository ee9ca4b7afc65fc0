"""Resource limits, per client and in total."""

from dataclasses import dataclass

MAX_HEADER_SIZE = 16 * 1024  # bytes, including the URL; a hundred model ids in a query are 5 kB
MAX_BODY_SIZE = 64 * 1024  # bytes
MAX_BULK_BODY_SIZE = 4 * 1024 * 1024  # bytes; 10,000 schedules are about 2 MB
BULK_ENDPOINTS = {("PUT", "/schedule")}  # method and path

MAX_BULK_REQUESTS = 2  # at once; 4 MiB of JSON can become more than 100 MiB of objects, as its sender chooses


@dataclass(frozen=True)
class Limits:
    """Limits of the server on its connections."""

    threads: int = 8  # each has a connection to PostgreSQL
    max_connections: int = 500  # with files and backend connections below 1,024, the usual limit of a process
    # Bytes of large request bodies and unread large responses, of all connections together.
    max_buffered_bytes: int = 16 * 1024 * 1024
    # Bytes of a response that the kernel buffers per client; Linux allocates twice as much.
    send_buffer_size: int = 64 * 1024
    client_timeout: float = 30.0  # seconds to send a request, to read the response, or to begin the next request
    linger_timeout: float = 2.0  # seconds in which a rejected client may finish sending, so that it reads the response


DEFAULT_LIMITS = Limits()


def max_body_size(method: str, path: str) -> int:
    """Return the limit on the request body of an endpoint, in bytes."""
    return MAX_BULK_BODY_SIZE if (method, path) in BULK_ENDPOINTS else MAX_BODY_SIZE
