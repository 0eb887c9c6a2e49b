"""Routes of the user's own second factor: set up, turn off, recovery codes."""

import secrets

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from models.base import now
from models.people.second_factors import renew_recovery_codes, turn_off, turn_on
from models.people.totp import derive_secret, matching_step, otpauth_uri, secret_text
from models.people.users import end_logins
from models.tables.people import Role, User
from web.auth.rules import (
    audit,
    needs,
    needs_recent_password,
    person,
    record_action,
    refuse_tokens,
    usable_without_second_factor,
)
from web.auth.sessions import is_second_factor_required, log_in
from web.context import current_context, write_session

bp = Blueprint("second_factor", __name__)

NONCE = "totp_nonce"  # in the session, until a code proves that the authenticator has the secret


@bp.get("/account/second-factor")
@needs(Role.VIEWER)
@usable_without_second_factor
def show() -> ResponseReturnValue:
    if person().has_second_factor:
        return redirect(url_for("account.show"))
    return _set_up_page(200)


@bp.post("/account/second-factor")
@needs(Role.VIEWER)
@needs_recent_password
@usable_without_second_factor
def begin() -> ResponseReturnValue:
    """With a new secret each time."""
    refuse_tokens()
    session[NONCE] = secrets.token_hex(16)
    audit("second-factor.begun")
    return redirect(url_for("second_factor.show"), code=303)


@bp.post("/account/second-factor/on")
@needs(Role.VIEWER)
@needs_recent_password
@usable_without_second_factor
def on() -> ResponseReturnValue:
    refuse_tokens()
    nonce = session.get(NONCE)
    if nonce is None:
        return redirect(url_for("second_factor.show"), code=303)
    code = "".join(request.form.get("code", "").split())
    step = matching_step(_secret(nonce), code, moment=now())
    if step is None:
        return _set_up_page(422, is_wrong=True)
    with write_session() as writing:
        user = writing.get_one(User, person().id, with_for_update=True)
        if user.totp_nonce is not None:
            abort(409, "the second factor is on already")
        codes = turn_on(writing, user, nonce=nonce, step=step)
        end_logins(user)  # they began without it
        writing.flush()
        writing.refresh(user)
        record_action(writing, "second-factor.on")
    log_in(user)
    return _codes_page(codes)


@bp.post("/account/second-factor/off")
@needs(Role.VIEWER)
@needs_recent_password
def off() -> ResponseReturnValue:
    refuse_tokens()
    if is_second_factor_required(person().role):
        abort(409, "your role requires a second factor")
    with write_session() as writing:
        turn_off(writing, writing.get_one(User, person().id))
        record_action(writing, "second-factor.off")
    return redirect(url_for("account.show"), code=303)


@bp.post("/account/second-factor/recovery-codes")
@needs(Role.VIEWER)
@needs_recent_password
def renew_codes() -> ResponseReturnValue:
    refuse_tokens()
    with write_session() as writing:
        user = writing.get_one(User, person().id)
        if user.totp_nonce is None:
            abort(409, "the second factor is off")
        codes = renew_recovery_codes(writing, user)
        record_action(writing, "recovery-codes.renewed")
    return _codes_page(codes)


def _set_up_page(status: int, *, is_wrong: bool = False) -> ResponseReturnValue:
    nonce = session.get(NONCE)
    page = render_template(
        "second_factor.html",
        is_required=is_second_factor_required(person().role),
        is_wrong=is_wrong,
        **_authenticator(nonce) if nonce else {},
    )
    return page, status


def _authenticator(nonce: str) -> dict[str, str]:
    import segno  # needed rarely

    secret = _secret(nonce)
    drawn = segno.make(otpauth_uri(secret, name=person().name), micro=False)
    svg = drawn.svg_inline(scale=5, dark="#000", light="#fff", title="QR code")
    return {"qr_code": Markup(svg), "secret": secret_text(secret)}  # noqa: S704  drawn here


def _codes_page(codes: list[str]) -> ResponseReturnValue:
    return render_template("recovery_codes.html", codes=codes)


def _secret(nonce: str) -> bytes:
    return derive_secret(nonce, key=current_context().secrets.session_key)
