"""Who is let in, and from where: names of hosts, tokens, origins of pages; and what browsers are told about answers."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, request

from api import tokens
from api.problems import CrossOrigin, ReadOnlyToken, Unauthorized, UnknownHost
from api.settings import Settings
from api.tokens import Token

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing
WITHOUT_TOKEN = re.compile("/sign-in|/sign-out|/static/.*")  # how one hands it in, or takes it back
COOKIE = "cyclic_metrics_token"  # of people who signed in on the page
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})  # for orchestrators, who know neither a name nor a token
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Cyclic Metrics"'}
DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which origins leave out
MAX_VALUE_LENGTH = 80  # characters of what is refused

ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without any, browsers call the origin of a form "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNLESS_SAID = {"Cache-Control": "no-store"}  # the view may know better
HEADERS: Mapping[str, str] = {**ALWAYS, **UNLESS_SAID}  # of every answer


def register(app: Flask, settings: Settings) -> None:
    """Guard an application: raises UnknownHost, Unauthorized, ReadOnlyToken, CrossOrigin before its views are asked."""

    def check() -> None:
        environ = request.environ  # what came: Flask's view of it costs more than the checks, and has no odd hosts
        if environ["PATH_INFO"] in HEALTH_CHECKS:
            return
        host = environ.get("HTTP_HOST", "").lower()
        _host(host, settings.allowed_hosts)
        may_write = True
        if settings.api_tokens and not WITHOUT_TOKEN.fullmatch(environ["PATH_INFO"]):
            token = _token(environ, settings.api_tokens)
            g.token, may_write = token.name, token.may_write
        g.may_write = may_write
        if environ["REQUEST_METHOD"] not in SAFE:
            if not may_write:
                raise ReadOnlyToken(f'the token "{g.token}" may only read')
            _origin(environ, host)

    app.before_request(check)
    app.after_request(_tell_browsers)


def _host(host: str, allowed: frozenset[str]) -> None:
    """Refuse other names: a page whose own name leads here, for a moment (DNS rebinding), would be of our origin."""
    if "*" in allowed:
        return
    name = _without_port(host)
    if name not in allowed:
        raise UnknownHost(f'"{name[:MAX_VALUE_LENGTH]}" is not a name of this API; ALLOWED_HOSTS has those that are')


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() else host


def _token(environ: Mapping[str, Any], known: list[Token]) -> Token:
    scheme, _, presented = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if not scheme:
        presented = request.cookies.get(COOKIE, "")  # what it may do, _origin() keeps pages of others from doing
    elif scheme.lower() != "bearer":
        presented = ""
    if not presented:
        raise Unauthorized("a token is needed; send it as Authorization: Bearer ...", headers=CHALLENGE)
    token = tokens.find(known, presented.strip())
    if token is None:
        raise Unauthorized("the token is none of this API's", headers=CHALLENGE)
    return token


def _origin(environ: Mapping[str, Any], host: str) -> None:
    """Refuse what a page of somebody else's asks a browser to do; programs send neither of these headers."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "none")
    if origin is not None and not _is_ours(origin, host):
        raise CrossOrigin(f"a page of {origin[:MAX_VALUE_LENGTH]} cannot change anything here")
    if site not in {"same-origin", "none"}:
        raise CrossOrigin("a page of another site cannot change anything here")


def _is_ours(origin: str, host: str) -> bool:
    # Either scheme: behind a proxy that ends TLS it is not the one of the request.
    scheme, _, where = origin.partition("://")
    return scheme in DEFAULT_PORTS and bool(host) and where == host.removesuffix(DEFAULT_PORTS[scheme])


def _tell_browsers(answer: Response) -> Response:
    answer.headers.extend(ALWAYS if "Cache-Control" in answer.headers else HEADERS)
    return answer
