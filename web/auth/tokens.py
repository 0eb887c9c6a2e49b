"""API tokens: each has an owner, a role and an expiry, and is shown once."""

from datetime import timedelta

from apiflask import APIBlueprint
from flask import abort

from models.base import now
from models.people.tokens import (
    MAX_API_TOKENS,
    find_api_token,
    has_room_for_api_token,
    issue_token,
    list_api_tokens,
    revoke_api_token,
)
from models.people.users import lesser_role
from models.tables.people import Role, Token, User
from web.auth.rules import needs, needs_recent_password, person, record_action
from web.auth.schemas import IssuedOut, NewToken, TokenOut, TokensOut
from web.context import read_session, write_session
from web.http.limits import NEW_TOKENS, at_most

bp = APIBlueprint("tokens", __name__, tag="Tokens")


@bp.get("/api/v1/tokens")
@bp.output(TokensOut)
@needs(Role.VIEWER)
def index() -> TokensOut:
    """List your valid tokens, newest first."""
    return _left()


@bp.post("/api/v1/tokens")
@bp.input(NewToken)
@bp.output(IssuedOut, status_code=201)
@bp.doc(responses=[409])
@at_most(NEW_TOKENS)
@needs(Role.VIEWER)
@needs_recent_password
def create(json_data: NewToken) -> IssuedOut:
    """Create a token. Its role and expiry are limited by those of the caller."""
    return issue(json_data)


@bp.post("/api/v1/tokens/<int:token_id>/revoke")
@bp.output(TokensOut)
@bp.doc(responses=[404])
@needs(Role.VIEWER)
def revoke_own(token_id: int) -> TokensOut:
    """Revoke a token. Returns the remaining ones."""
    revoke(token_id)
    return _left()


def issue(new: NewToken) -> IssuedOut:
    asking = person()
    if not asking.may(new.role):
        roles = f"{new.role.value}, yours is {asking.role.value}"
        abort(403, f"the token's role exceeds yours: {roles}")
    lifetime = timedelta(days=new.days)
    if asking.until is not None and now() + lifetime > asking.until:
        abort(403, "a token cannot outlive the token that creates it")
    with write_session() as session:
        owner = session.get_one(User, asking.id)
        if not has_room_for_api_token(session, user_id=owner.id):
            abort(409, f"you have {MAX_API_TOKENS} tokens: revoke one that you no longer need")
        text = issue_token(
            session, user=owner, kind="api", lifetime=lifetime, name=new.name, role=new.role
        )
        token = find_api_token(session, text)
        assert token is not None
        record_action(session, "token.issued", str(token.id))
    return IssuedOut(**token_out(token, owner.role).model_dump(), token=text)


def revoke(token_id: int) -> None:
    """Own tokens only; any other id gives 404. A token cannot revoke one of a higher role."""
    asking = person()
    with write_session() as session:
        owner = session.get_one(User, asking.id)
        own = {token.id: token for token in list_api_tokens(session, user_id=owner.id)}
        if token_id not in own:
            abort(404, "token not found")
        role = lesser_role(owner.role, own[token_id].role)
        if not asking.may(role):
            abort(403, f"that token's role exceeds yours: {role.value}")
        if revoke_api_token(session, token_id=token_id, user_id=owner.id):
            record_action(session, "token.revoked", str(token_id))


def _left() -> TokensOut:
    with read_session() as session:
        owner = session.get_one(User, person().id)
        tokens = list_api_tokens(session, user_id=owner.id)
    return TokensOut(tokens=[token_out(token, owner.role) for token in tokens])


def token_out(token: Token, owners_role: Role) -> TokenOut:
    """role: the effective one, limited by the owner's role."""
    return TokenOut.of(token, role=lesser_role(owners_role, token.role))
