"""Sign-in with a token, kept in a cookie that scripts cannot read; it appears in no URL and no log."""

import re

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from api import tokens
from api.backends import backends
from api.middleware.access_control import COOKIE

blueprint = Blueprint("sign_in", __name__)

# A path of this server: with another slash or backslash at its beginning, browsers take it for another host.
LOCAL_PATH = re.compile(r"/(?![/\\])[!-~]*")
SIGN_IN_ERROR = "Invalid token. Lost tokens cannot be recovered; create a new one."


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Check a token, store it in the cookie, and redirect to the page that showed the form."""
    token, next_path = request.form.get("token", "").strip(), request.form.get("next", "")
    if not LOCAL_PATH.fullmatch(next_path):
        next_path = "/"
    if tokens.find(backends().settings.api_tokens, token) is None:
        return render_form(next_path, error=SIGN_IN_ERROR), 401
    response = redirect(next_path, 303)
    # A session cookie, deleted when the browser closes. Behind a proxy that terminates TLS, only Origin shows TLS.
    over_tls = request.headers.get("Origin", "").startswith("https://")
    response.set_cookie(COOKIE, token, httponly=True, samesite="Lax", secure=over_tls)
    return response


@blueprint.get("/sign-in")
def redirect_to_form() -> ResponseReturnValue:
    """Redirect to a page with the form: a reload after an invalid token must not be a 405."""
    return redirect("/", 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Delete the cookie."""
    response = redirect("/", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
    return response


def render_form(next_path: str, error: str | None = None) -> str:
    """Return the sign-in form."""
    return render_template("sign_in.html", next_path=next_path, error=error)
