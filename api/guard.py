"""Who is let in, and from where: names of hosts, tokens, origins of pages; and what browsers are told about answers."""

from collections.abc import Mapping

from flask import Flask, Response, g, request

from api import tokens
from api.problems import ForeignOrigin, ReadOnly, Unauthorized, UnknownHost
from api.settings import Settings
from api.tokens import Token

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})  # for orchestrators, who know neither a name nor a token
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Cyclic Metrics"'}
SHOWN = 80  # characters of what is refused

ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNLESS_SAID = {"Cache-Control": "no-store"}  # the view may know better
HEADERS: Mapping[str, str] = {**ALWAYS, **UNLESS_SAID}  # of every answer


def register(app: Flask, settings: Settings) -> None:
    """Guard an application: raises UnknownHost, Unauthorized, ReadOnly, ForeignOrigin before its views are asked."""

    def check() -> None:
        if request.path in HEALTH_CHECKS:
            return
        _host(settings.allowed_hosts)
        token = _token(settings.api_tokens) if settings.api_tokens else None
        if request.method not in SAFE:
            if token and not token.may_write:
                raise ReadOnly(f'the token "{token.name}" may only read')
            _origin()

    app.before_request(check)
    app.after_request(_tell_browsers)


def _host(allowed: frozenset[str]) -> None:
    """Refuse other names: a page whose own name leads here, for a moment (DNS rebinding), would be of our origin."""
    if "*" in allowed:
        return
    name = _without_port(request.headers.get("Host", ""))
    if name.lower() not in allowed:
        raise UnknownHost(f'"{name[:SHOWN]}" is not a name of this API; ALLOWED_HOSTS has those that are')


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() else host


def _token(known: list[Token]) -> Token:
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("a token is needed; send it as Authorization: Bearer ...", headers=CHALLENGE)
    token = tokens.find(known, presented.strip())
    if token is None:
        raise Unauthorized("the token is none of this API's", headers=CHALLENGE)
    g.token = token.name
    return token


def _origin() -> None:
    """Refuse what a page of somebody else's asks a browser to do; programs send neither of these headers."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    # The scheme is not compared: behind a proxy that ends TLS it is another one.
    if origin is not None and origin.partition("://")[2] != request.host:
        raise ForeignOrigin(f"a page of {origin[:SHOWN]} cannot change anything here")
    if site not in {"same-origin", "none"}:
        raise ForeignOrigin("a page of another site cannot change anything here")


def _tell_browsers(answer: Response) -> Response:
    answer.headers.extend(ALWAYS if "Cache-Control" in answer.headers else HEADERS)
    return answer
