"""The token by which the command line on this machine comes in as `admin`."""

from pathlib import Path

from sqlalchemy.orm import Session

from models.people_tables import User
from models.secrets import write_private
from models.tokens import issue_token, user_of_token

NAME = "the command line on this machine"


def local_token_path(data_dir: Path) -> Path:
    return data_dir / "token"


def read_or_make_local_token(session: Session, user: User, data_dir: Path) -> str:
    """Kept while it is valid, so that a running `overread submit` survives a restart."""
    path = local_token_path(data_dir)
    token = path.read_text().strip() if path.exists() else ""
    if not token or user_of_token(session, token, "api") is None:
        token = issue_token(session, user=user, kind="api", name=NAME)
        write_private(path, token + "\n")
    return token
