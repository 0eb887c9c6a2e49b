"""Model versions, and the history of which was live when.

The history is only added to. Read as promotions that push and roll-backs that pop, it is a stack:
after A, B and C, rolling back leads to B, and once more to A; a promotion then begins from there.
"""

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.query import insert_new
from models.tables.intake import ModelAlias, ModelVersion, Move
from pipeline.errors import NetworkFolderError
from pipeline.inference.version_folder import BASELINE, load_card, verify_checksums

NETWORKS = "networks"  # in the data folder; a folder for each version
PRODUCTION = "production"
REASON_LENGTH = 500


class NotMovedError(Exception):
    """One sentence for whoever asked. What is live has not changed."""


class LiveChangedError(NotMovedError):
    """Another version went live since the caller looked."""


class NothingToGoBackToError(NotMovedError):
    """No version was live before the one that is."""


class NotServableError(NotMovedError):
    """The version's files are gone or damaged, or it lacks the operating point in use."""


def register_version(session: Session, *, folder: Path | None, data_dir: Path) -> ModelVersion:
    """A finished version folder becomes a row; not live. folder None: the shipped network."""
    card = load_card(folder or BASELINE)
    relative = folder.absolute().relative_to(data_dir).as_posix() if folder else None
    row = {"name": card.model_version, "folder": relative, "card": dict(card.raw)}
    insert_new(session, ModelVersion, [row | {"created_at": now()}])
    return session.scalars(select(ModelVersion).filter_by(name=card.model_version)).one()


def find_version(session: Session, name: str) -> ModelVersion | None:
    return session.scalar(select(ModelVersion).where(ModelVersion.name == name))


def production_version(session: Session) -> ModelVersion | None:
    newest = (
        select(ModelAlias.model_version_id)
        .where(ModelAlias.name == PRODUCTION)
        .order_by(ModelAlias.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return session.scalar(select(ModelVersion).where(ModelVersion.id == newest))


def production_history(session: Session) -> list[ModelAlias]:
    """Newest first; a version was live from its row's `created_at` to the next row's."""
    rows = select(ModelAlias).where(ModelAlias.name == PRODUCTION).order_by(ModelAlias.id.desc())
    return list(session.scalars(rows))


def set_production(
    session: Session,
    version: ModelVersion,
    *,
    reason: str,
    user_id: int | None = None,
    move: Move = Move.PROMOTION,
) -> None:
    """Adds to the history. Workers see it at their next chunk."""
    session.add(
        ModelAlias(
            name=PRODUCTION,
            model_version_id=version.id,
            user_id=user_id,
            reason=reason[:REASON_LENGTH],
            move=move,
        )
    )
    session.flush()


def promote(
    session: Session,
    version: ModelVersion,
    *,
    user_id: int | None,
    reason: str,
    instead_of: int | None = None,
) -> bool:
    """Whether this made it live; False where it was. `check_servable` comes first.

    instead_of: id of the version that the caller takes for live; LiveChangedError where it is not.
    """
    lock_history(session)
    live = production_version(session)
    if live is not None and live.id == version.id:
        return False
    _check_still_live(live, instead_of)
    set_production(session, version, reason=reason, user_id=user_id)
    return True


def roll_back(
    session: Session, *, user_id: int | None, reason: str, instead_of: int | None = None
) -> ModelVersion:
    """One step back, to the version that is returned. `check_servable` comes first.

    Raises NothingToGoBackToError, and LiveChangedError as `promote` does.
    """
    lock_history(session)
    _check_still_live(production_version(session), instead_of)
    target = roll_back_target(session)
    if target is None:
        raise NothingToGoBackToError("no version was live before this one: nothing to go back to")
    set_production(session, target, reason=reason, user_id=user_id, move=Move.ROLL_BACK)
    return target


def roll_back_target(session: Session) -> ModelVersion | None:
    """Where rolling back would lead."""
    moves = reversed(production_history(session))
    stack = _stack((entry.model_version_id, entry.move) for entry in moves)
    return session.get_one(ModelVersion, stack[-2]) if len(stack) > 1 else None


def lock_history(session: Session) -> None:
    """Until the transaction ends nobody else moves or decides."""
    # The oldest row, since it is always the same one.
    oldest = select(ModelAlias.id).where(ModelAlias.name == PRODUCTION).order_by(ModelAlias.id)
    session.execute(oldest.limit(1).with_for_update())


def check_servable(version: ModelVersion, settings: Settings) -> None:
    """Raises NotServableError unless workers could answer with it. Reads all of its files."""
    if version.folder is None and version.name != load_card(BASELINE).model_version:
        raise NotServableError(
            f"{version.name} shipped with an earlier release, and its files went with that; "
            "promote another version instead"
        )
    folder = version_path(version, data_dir=settings.data_dir)
    try:
        verify_checksums(folder)
        points = load_card(folder).thresholds
    except NetworkFolderError as error:
        raise NotServableError(f"{version.name} cannot be read: {error}") from error
    if settings.operating_point not in points:
        raise NotServableError(
            f"{version.name} has no operating point {settings.operating_point}, "
            f"only {', '.join(points)}"
        )


def version_path(version: ModelVersion, *, data_dir: Path) -> Path:
    return BASELINE if version.folder is None else data_dir / version.folder


def install_baseline(session: Session, *, data_dir: Path) -> None:
    """The shipped network goes live where nothing ever did, and where one that shipped before is:
    that one's files went with its release. Its row and its predictions stay.
    """
    version = register_version(session, folder=None, data_dir=data_dir)
    live = production_version(session)
    if live is None:
        set_production(session, version, reason="ships with the project")
    elif live.folder is None and live.id != version.id:
        set_production(session, version, reason=f"replaces {live.name}, which shipped before")


def _check_still_live(live: ModelVersion | None, expected_id: int | None) -> None:
    if expected_id is not None and (live is None or live.id != expected_id):
        name = live.name if live else "no version"
        raise LiveChangedError(f"the version {name} is live by now: look again, then decide")


def _stack(moves: Iterable[tuple[int, Move]]) -> list[int]:
    """The versions that undoing leads through; the last one is live."""
    stack: list[int] = []
    for version_id, move in moves:
        if move is Move.ROLL_BACK:
            stack.pop()
        elif stack[-1:] != [version_id]:
            stack.append(version_id)
    return stack
