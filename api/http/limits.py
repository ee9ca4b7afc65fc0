"""What one client may ask of the API, and all of them together."""

LARGEST_HEADER = 16 * 1024  # bytes, with the address; a hundred model ids in a query are 5 kB
LARGEST_BODY = 64 * 1024  # bytes
LARGEST_BULK = 4 * 1024 * 1024  # bytes; 10,000 schedules are about 2 MB
BULK = {("PUT", "/schedule")}  # method and path of the calls that take many schedules

BULK_AT_ONCE = 2  # calls; 4 MiB of JSON may become more than 100 MiB of objects, which its sender can choose

THREADS = 8  # each has a connection to PostgreSQL
CONNECTIONS = 500  # with files and servers' connections below 1,024, the usual limit of a process
HELD = 16 * 1024 * 1024  # bytes of large bodies and of large answers that are not taken, of all connections together
SEND_BUFFER = 64 * 1024  # bytes of an answer that the kernel keeps for a client; Linux takes twice as much

PATIENCE = 30.0  # seconds for a client to send a request, to take the answer, or to begin the next request
LINGER = 2.0  # seconds in which a client that was refused may finish sending, and so gets to read why


def largest_body(method: str, path: str) -> int:
    """Return how many bytes the body of this call may have."""
    return LARGEST_BULK if (method, path) in BULK else LARGEST_BODY
