"""A user's second factor: codes of an authenticator, and recovery codes."""

import base64
import secrets
from typing import Literal

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session

from models.base import now
from models.people.tokens import digest_of
from models.people.totp import derive_secret, matching_step
from models.query import count_rows, update_rows
from models.tables.people import RecoveryCode, User

RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 10  # 80 bits: a fast hash is enough
# A code that was used later than this came from a clock that has been set back since.
FAR_STEPS = 20


def turn_on(session: Session, user: User, *, nonce: str, step: int) -> list[str]:
    """step: of the code that proved the authenticator. Returns the recovery codes."""
    user.totp_nonce, user.totp_step = nonce, step
    return renew_recovery_codes(session, user)


def turn_off(session: Session, user: User) -> None:
    user.totp_nonce = user.totp_step = None
    _delete_recovery_codes(session, user)


def renew_recovery_codes(session: Session, user: User) -> list[str]:
    """Known only to the caller; earlier ones become invalid."""
    _delete_recovery_codes(session, user)
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    digests = [digest_of(_plain(code)) for code in codes]
    session.add_all(RecoveryCode(user_id=user.id, digest=digest) for digest in digests)
    return codes


def count_recovery_codes(session: Session, user_id: int) -> int:
    return count_rows(session, RecoveryCode, RecoveryCode.user_id == user_id)


def use_code(
    session: Session, user: User, code: str, *, key: str
) -> Literal["code", "recovery code"] | None:
    """Which of both it was; each works once. None if it is wrong. Needs a writing session."""
    if user.totp_nonce is None:
        return None
    plain = _plain(code)
    step = matching_step(derive_secret(user.totp_nonce, key=key), plain, moment=now())
    if step is not None:
        # One conditional UPDATE: of two requests with the same code only one succeeds.
        unused = or_(
            User.totp_step.is_(None), User.totp_step < step, User.totp_step > step + FAR_STEPS
        )
        used = update_rows(session, User, User.id == user.id, unused, totp_step=step)
        return "code" if used else None
    ours = (RecoveryCode.user_id == user.id, RecoveryCode.digest == digest_of(plain))
    used = session.execute(delete(RecoveryCode).where(*ours)).rowcount  # type: ignore[attr-defined]
    return "recovery code" if used else None


def _delete_recovery_codes(session: Session, user: User) -> None:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _plain(code: str) -> str:
    """As people type it: with spaces, hyphens, in any case."""
    return "".join(code.split()).replace("-", "").lower()
