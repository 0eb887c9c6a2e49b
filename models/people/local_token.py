"""The API token of this machine's command line: a file in the data folder, replaced each day."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import and_, or_

from models.base import now
from models.config.secrets import local_token_path, write_private
from models.file_lock import file_lock
from models.people.tokens import digest_of, find_api_token, issue_token
from models.people.users import ADMIN, find_user
from models.query import update_rows
from models.session import Sessions
from models.tables.people import Token

LIFETIME = timedelta(days=1)
LOCK_FILE = "token.lock"
# In releases up to 0.1 it was a token like the others, but the only one without an end.
OF_EARLIER_RELEASES = and_(Token.kind == "api", Token.expires_at.is_(None))


def renew_local_token(sessions: Sessions, data_dir: Path) -> None:
    """Replace the file, then revoke all earlier ones, so that one of both is always valid.

    One process at a time: `overread migrate` beside a running service would else revoke the token
    that the service has just written.
    """
    with file_lock(data_dir / LOCK_FILE, timeout_s=None):
        _renew(sessions, data_dir)


def keep_local_token(sessions: Sessions, data_dir: Path) -> None:
    """Renew it in the second half of its life."""
    path = local_token_path(data_dir)
    with sessions() as session:
        found = find_api_token(session, path.read_text().strip()) if path.exists() else None
    left = found.expires_at - now() if found and found.expires_at else timedelta(0)
    if not LIFETIME / 2 < left <= LIFETIME:  # more is left where the clock was set back
        renew_local_token(sessions, data_dir)


def _renew(sessions: Sessions, data_dir: Path) -> None:
    with sessions.begin() as session:
        admin = find_user(session, ADMIN)
        assert admin is not None, "the upgrade makes it"
        token = issue_token(session, user=admin, kind="local", lifetime=LIFETIME)
    write_private(local_token_path(data_dir), token + "\n")
    with sessions.begin() as session:
        is_local = or_(Token.kind == "local", OF_EARLIER_RELEASES)
        earlier = (Token.user_id == admin.id, is_local, Token.digest != digest_of(token))
        update_rows(session, Token, *earlier, Token.revoked_at.is_(None), revoked_at=now())
