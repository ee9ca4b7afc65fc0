"""Access control: host names, tokens, origins, security headers."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, request

from api import tokens
from api.problems import MAX_QUOTED_LENGTH, CrossOrigin, ReadOnlyToken, Unauthorized, UnknownHost
from api.settings import Settings
from api.tokens import Token

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC_PATHS = re.compile("/sign-in|/sign-out|/static/.*")  # without a token: a browser signs in and out there
COOKIE = "cyclic_metrics_token"  # of people who signed in on the page
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})  # for orchestrators, which have neither a host name nor a token
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Cyclic Metrics"'}
DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which origins leave out

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without any, browsers send "null" as the origin of a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DEFAULT_HEADERS = {"Cache-Control": "no-store"}  # unless the view sets them
HEADERS: Mapping[str, str] = {**SECURITY_HEADERS, **DEFAULT_HEADERS}


def register(app: Flask, settings: Settings) -> None:
    """Raise UnknownHost, Unauthorized, ReadOnlyToken or CrossOrigin before the views of an application are called."""

    def check_access() -> None:
        environ = request.environ  # Flask's request object takes longer than the checks, and rejects odd hosts
        if environ["PATH_INFO"] in HEALTH_CHECKS:
            return
        host = environ.get("HTTP_HOST", "").lower()
        _check_host(host, settings.allowed_hosts)
        may_write = True
        if settings.api_tokens and not PUBLIC_PATHS.fullmatch(environ["PATH_INFO"]):
            token = _authenticate(environ, settings.api_tokens)
            g.token, may_write = token.name, token.may_write
        g.may_write = may_write
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            if not may_write:
                raise ReadOnlyToken(f'the token "{g.token}" may only read')
            _check_origin(environ, host)

    app.before_request(check_access)
    app.after_request(_set_security_headers)


def _check_host(host: str, allowed: frozenset[str]) -> None:
    """Reject other names: a page whose name is made to resolve to this host (DNS rebinding) would be same-origin."""
    if "*" in allowed:
        return
    name = _without_port(host)
    if name not in allowed:
        raise UnknownHost(f'"{name[:MAX_QUOTED_LENGTH]}" is not a name of this API; ALLOWED_HOSTS has those that are')


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() else host


def _authenticate(environ: Mapping[str, Any], api_tokens: list[Token]) -> Token:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if not scheme:
        credentials = request.cookies.get(COOKIE, "")  # _check_origin() protects its writes against CSRF
    elif scheme.lower() != "bearer":
        credentials = ""
    if not credentials:
        raise Unauthorized("a token is needed; send it as Authorization: Bearer ...", headers=CHALLENGE)
    token = tokens.find(api_tokens, credentials.strip())
    if token is None:
        raise Unauthorized("the token is none of this API's", headers=CHALLENGE)
    return token


def _check_origin(environ: Mapping[str, Any], host: str) -> None:
    """Reject requests that a browser sends for a page of another origin; programs send neither of these headers."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "none")
    if origin is not None and not _is_same_origin(origin, host):
        raise CrossOrigin(f"a page of {origin[:MAX_QUOTED_LENGTH]} cannot change anything here")
    if site not in {"same-origin", "none"}:
        raise CrossOrigin("a page of another site cannot change anything here")


def _is_same_origin(origin: str, host: str) -> bool:
    # Either scheme: behind a proxy that terminates TLS, it differs from that of the request.
    scheme, _, origin_host = origin.partition("://")
    return scheme in DEFAULT_PORTS and bool(host) and origin_host == host.removesuffix(DEFAULT_PORTS[scheme])


def _set_security_headers(response: Response) -> Response:
    response.headers.extend(SECURITY_HEADERS if "Cache-Control" in response.headers else HEADERS)
    return response
