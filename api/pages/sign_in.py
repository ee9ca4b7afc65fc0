"""Signing in where the API wants tokens: a cookie that no script can read carries the token, no address and no log."""

import re

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from api import tokens
from api.backends import backends
from api.middleware.access_control import COOKIE

blueprint = Blueprint("sign_in", __name__)

# An address here: with another slash or backslash at its beginning, browsers take it for another host.
LOCAL = re.compile(r"/(?![/\\])[!-~]*")
WRONG = "This is none of the tokens that the API takes. It begins with cm_; nobody can look it up, but make a new one."


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Take a token, and go on to where the form was shown."""
    presented, following = request.form.get("token", "").strip(), request.form.get("next", "")
    if not LOCAL.fullmatch(following):
        following = "/"
    if tokens.find(backends().settings.api_tokens, presented) is None:
        return form(following, wrong=WRONG), 401
    answer = redirect(following, 303)
    # No end is set: it goes with the browser. Behind a proxy that ends TLS, only the page's origin tells of it.
    over_tls = request.headers.get("Origin", "").startswith("https://")
    answer.set_cookie(COOKIE, presented, httponly=True, samesite="Lax", secure=over_tls)
    return answer


@blueprint.get("/sign-in")
def ask_again() -> ResponseReturnValue:
    """Lead to a page that asks for a token: who enters the address after a wrong one is not told of methods."""
    return redirect("/", 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget the token."""
    answer = redirect("/", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="Lax")
    return answer


def form(following: str, wrong: str | None = None) -> str:
    """Return the page that asks for a token."""
    return render_template("sign_in.html", following=following, wrong=wrong)
