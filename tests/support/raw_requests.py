"""Random malformed requests: each is the bytes of one connection."""

import json
import random
from collections.abc import Callable
from urllib.parse import quote

from tests.support.databases import MODEL, OTHER

OPERATIONS = [
    *["POST /schedule"] * 4, *["PUT /schedule"] * 2, *["GET /schedule"] * 2, f"GET /schedule/{MODEL}",
    f"PUT /schedule/{MODEL}", f"PATCH /schedule/{MODEL}", f"DELETE /schedule/{MODEL}", f"POST /schedule/{MODEL}/run",
    "GET /results", f"GET /results/{MODEL}", f"GET /results/{MODEL}/history", "GET /cron", "GET /cron", "GET /healthz",
    "GET /readyz", "GET /status", "GET /metrics", "GET /openapi.json", "GET /docs", "GET /", "GET /nothing",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
ODD_METHODS = ["get", "Post", "TRACE", "CONNECT", "PRI", "X" * 300, "G\xcbT", "GET GET", "", "\0", "%47ET", "{}"]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/1.1", "HTTP/1.1"]
ODD_VERSIONS = ["", "HTTP/9.9", "HTTP/2.0", "http/1.1", "HTTP/1.10", "HTTP/-1", "HTTP/1.1 x"]
PARAMETERS = [
    "limit", "after", "cron", "zone", "timezone", "enabled", "status", "from", "to", "order", "model_id", "expression",
    "count", "", "\0", "limit[]",
]  # fmt: skip
TEXTS = [
    "", "0", "-0", "-1", "1", "1e400", "10" * 2500, "9" * 30, "0x10", "\u0661", "\xb9", "1_000", " 1", "+1", "NaN",
    "null", "true",
    "a", "\0", "\ud800", "\udfff", "\ufffe", "\x7f", "é", "\U0001f600" * 30, "'", '"', "\\", "%", "%s", "%(a)s", "{}",
    "../..",
    "* * * * *", "0 0 31 2 *", "*/0 * * * *", "@daily", "@reboot", "1-" * 500, "*," * 2000, "UTC", "Europe/Warsaw",
    "../../etc/passwd", "posixrules", "localtime", "2026-11-24T12:00:00Z", "0000-00-00", "9999-12-31T23:59:59.999999Z",
    "10000-01-01T00:00:00Z", "infinity", "-infinity", "epoch", MODEL, OTHER, MODEL.upper(), "{" + MODEL + "}",
    f"urn:uuid:{MODEL}", MODEL.replace("-", ""), MODEL[:-1], MODEL[:-1] + "g", "x" * 3000, "asc", "desc", "ok", "new",
]  # fmt: skip
NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "1",
    "1e400",
    "-1e400",
    "1e-400",
    "1" + "0" * 5000,
    "0." + "1" * 5000,
    "1E+2",
    "2147483648",
]
JUNK_JSON = [
    "", " ", "{", "}", "[", "NaN", "Infinity", "-Infinity", "nul", "01", "1.", ".5", "+1", "'a'", '{"a":1,}', '{"a" 1}',
    '{"model_id": "a", "model_id": "b"}', "{a: 1}", "/* */ {}", '"\\ud800"', '"\\u0000"', '{"\\ud800": 1}',
    '{"\\u0000": 1}',
    "\ufeff{}", '"\t"', '"\\x"', '"\\u12"', "{}{}", "[1][", "[" * 60_000, '{"a":' * 12_000, "[" * 20_000 + "]" * 20_000,
    '{"a":' * 300 + "1" + "}" * 300, "[{}]" * 9, "[" + "{}," * 9999 + "{}]", '"' + "x" * 60_000 + '"',
]  # fmt: skip
JUNK_BYTES = [
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\x80",
    b"\0",
    b"\xfe\xff\0{\0}",
    b"\xff\xfe{\0}\0",
]
FIELDS = ["model_id", "cron_expression", "timezone", "enabled", "name", "run_requested_at", "id", "", "\0", "__class__"]
HEADERS = [
    "Host", "Authorization", "Content-Type", "Accept", "Accept-Encoding", "If-Match", "If-None-Match", "Origin",
    "Cookie",
    "Referer", "X-Request-Id", "X-Forwarded-For", "Forwarded", "X-HTTP-Method-Override", "Range", "Upgrade",
    "Connection",
    "Expect", "TE", "Trailer", "Sec-Fetch-Site", "If-Modified-Since", "Content-Encoding", "Content-Length-X", "Date",
]  # fmt: skip
HEADER_VALUES = [
    "", "*", '"', 'W/"', '"a", "b', "Bearer", "Bearer ", "Bearer \xff", "Basic :", "application/json; charset=utf-7",
    "application/json; charset=nonsense", "text/plain", "application/merge-patch+json", "multipart/form-data",
    "multipart/form-data; boundary=", "null", "http://evil", "127.0.0.1", "evil:99999", "[::1", "a b",
    "\x80\x81", "close", "keep-alive", "100-continue", "bytes=0-", "x" * 9000, "gzip", "Thu, 99 Foo 0000", ";", "=;=",
    ",,,",
    "a=\xff; b", "\U0001f600",
]  # fmt: skip
BROKEN_HEADERS = [
    b"A: \x01", b"A: a\0b", b"A : b", b"A", b": b", b" A: b", b"\xff: a", b"A: b\rC: d", b"A: b\nC: d",
    b"A" * 20_000,
]  # fmt: skip
LENGTHS = [
    "-1", "+1", "0x10", "1.5", "1e3", "", " ", "1 1", "1, 1", "1,2", "9" * 30, "9" * 5000, "\xb9", "0", "00", "007",
    "99999999",
]  # fmt: skip
CHUNKS = [
    b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"x\r\n\r\n", b"-1\r\n\r\n",
    b"ffffffffffffffffff\r\n{}", b"2\n{}\n0\n\n",
    b"0x2\r\n{}\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n", b'2;a="\r\n{}\r\n0\r\n\r\n',
    b"2\r\n{}\r\n0\r\nA: b\r\n\r\n", b"2\r\n{", b"",
    b"2\r\n{}\r\n0\r\nnonsense", b";" * 9000, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"\r\n\r\n", b"f" * 5000 + b"\r\n",
]  # fmt: skip


def raw_request(choices: random.Random) -> bytes:
    """Return one request, or several of them on one connection."""
    generators: list[Callable[[random.Random], bytes]] = [
        _well_framed,
        _well_framed,
        _wrong_body_length,
        _wrong_request_line,
        _pipeline,
        _mangled,
    ]
    return choices.choice(generators)(choices)


def _well_framed(choices: random.Random) -> bytes:
    """Return a request as a client would send it; only the values are odd."""
    request_line = _request_line(choices)
    body = _body(choices) if not request_line.startswith(b"GET") or choices.random() < 0.1 else b""
    content_length = [b"Content-Length: %d" % len(body)] if body or choices.random() < 0.5 else []
    return b"\r\n".join([request_line, *_headers(choices), *content_length, b"", body])


def _request_line(choices: random.Random) -> bytes:
    """Return a request line, most often of an existing operation."""
    method, path = choices.choice(OPERATIONS).split(" ")
    if choices.random() < 0.1:
        method = choices.choice(METHODS)
    return method.encode() + b" " + _target(choices, path) + b" " + choices.choice(VERSIONS).encode()


def _wrong_body_length(choices: random.Random) -> bytes:
    """Return a request whose body does not have the length that its headers state."""
    body = _body(choices)
    framings = [
        (b"Content-Length: " + _latin1(choices.choice(LENGTHS)), body),
        (b"Content-Length: %d" % (len(body) + choices.choice([1, 10, 10_000])), body),
        (b"Content-Length: %d" % (len(body) // 2), body),
        (b"Content-Length: %d\r\nContent-Length: %d" % (len(body), choices.choice([len(body), 0])), body),
        (b"Transfer-Encoding: chunked", choices.choice(CHUNKS)),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", choices.choice(CHUNKS)),
        (
            b"Transfer-Encoding: " + choices.choice([b"gzip", b"identity", b"\x0bchunked", b"chunked, chunked", b""]),
            body,
        ),
        (b"Expect: 100-continue\r\nContent-Length: %d" % len(body), body),
    ]
    framing, sent_body = choices.choice(framings)
    return b"\r\n".join([_request_line(choices), *_headers(choices), framing, b"", sent_body])


def _wrong_request_line(choices: random.Random) -> bytes:
    method, version = choices.choice(METHODS + ODD_METHODS), choices.choice(VERSIONS + ODD_VERSIONS)
    targets = [
        b"/healthz", b"*", b"", b"//", b"http://[", b"http://127.0.0.1/healthz", b"http://a:b@c:99999/", b"a:80",
        b"?",
        b"#", b"/\xff", b"/%", b"/ /", b"/" + b"x" * 20_000, b"/schedule/" + b"%2e" * 999, b"/;/../schedule",
    ]  # fmt: skip
    request_line = _latin1(method) + b" " + choices.choice(targets) + b" " + version.encode()
    line_ends = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n folded", b"\0\r\n"]
    broken = choices.choices(BROKEN_HEADERS, k=choices.randint(0, 1))
    return choices.choice(line_ends).join([request_line, *_headers(choices), *broken, b"", b""]) + b"\r\n\r\n"


def _pipeline(choices: random.Random) -> bytes:
    generators = [_well_framed, _well_framed, _wrong_body_length, _wrong_request_line]
    return b"".join(choices.choice(generators)(choices) for _ in range(choices.randint(2, 6)))


def _mangled(choices: random.Random) -> bytes:
    """Return a request some of whose bytes are replaced or missing."""
    request = bytearray(_well_framed(choices))
    for _ in range(choices.randint(1, 4)):
        index = choices.randrange(max(1, min(len(request), 400)))
        request[index : index + choices.randint(0, 3)] = choices.choice(
            [b"", *JUNK_BYTES, b"\r", b"\n", b"\r\n\r\n", b":"]
        )
    return bytes(request)


def _target(choices: random.Random, path: str) -> bytes:
    if choices.random() < 0.1:
        path += "/" + _quoted(choices)
    if choices.random() < 0.4:
        path = path.replace(MODEL, _quoted(choices))
    if choices.random() < 0.5:
        pairs = [f"{_quoted(choices, PARAMETERS)}={_quoted(choices)}" for _ in range(choices.randint(1, 3))]
        path += "?" + "&".join(pairs)
    return _latin1(path)


def _quoted(choices: random.Random, texts: list[str] = TEXTS) -> str:
    """Return a percent-encoded text, or sometimes an invalid encoding."""
    if choices.random() < 0.1:
        return choices.choice(
            ["%ff", "%C0%80", "%ed%a0%80", "%", "%2", "%zz", "%00", "%0a", "%0d%0aX:1", "+", "%u1234"]
        )
    return quote(choices.choice(texts).encode("utf-8", "surrogatepass"), safe="")


def _headers(choices: random.Random) -> list[bytes]:
    headers = [b"Host: 127.0.0.1"] if choices.random() < 0.95 else []
    if choices.random() < 0.9:
        headers.append(b"Content-Type: application/json")
    others = range(choices.choice([0, 0, 0, 0, 0, 1, 1, 2, 200]))
    return [*headers, *(_latin1(f"{choices.choice(HEADERS)}: {choices.choice(HEADER_VALUES)}") for _ in others)]


def _body(choices: random.Random) -> bytes:
    kind = choices.random()
    if kind < 0.15:
        return b""
    if kind < 0.3:
        return choices.choice(JUNK_JSON).encode()
    body = _value(choices, depth=0)
    if choices.random() < 0.2:
        body = "[" + ",".join([body] * choices.choice([0, 1, 3])) + "]"
    encoded = body.encode("utf-8", "surrogatepass")
    if choices.random() < 0.2:
        index = choices.randrange(len(encoded) + 1)
        encoded = encoded[:index] + choices.choice(JUNK_BYTES) + encoded[index:]
    return encoded


def _value(choices: random.Random, depth: int) -> str:
    """Return JSON: at the top level, most often an object that resembles a schedule."""
    kind = choices.random()
    if depth == 0 or (kind < 0.1 and depth < 3):
        members = {"model_id": f'"{MODEL}"', "cron_expression": '"0 0 1 1 *"'}
        for _ in range(choices.randint(0, 3)):
            members[choices.choice(FIELDS)] = _value(choices, depth + 1)
        return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    if kind < 0.7:
        return json.dumps(choices.choice(TEXTS), ensure_ascii=choices.random() < 0.5)
    return choices.choice([*NUMBERS, "null", "true", "false", "[]", "{}", "[[]]"])


def _latin1(text: str) -> bytes:
    return text.encode("latin-1", "replace")
