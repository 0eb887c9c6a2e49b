"""Verify the share of the stored files that is due, and make lost network inputs again."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from models.context import AppContext
from models.file_lock import LockedError
from models.files.garbage import delete_unneeded
from models.intake.images import find_known_images
from models.operations.integrity import forget_whole
from models.operations.verification import (
    StoppedError,
    Tally,
    shares_due,
    verify_next_share,
    verifying,
)
from pipeline.errors import DamagedFileError, DecoderError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import PREPROCESSING, Prepared
from worker.chunks import NoDecodersError

log = logging.getLogger(__name__)

INPUTS_A_RUN = 1000


def verify_due_shares(context: AppContext) -> None:
    settings, tally = context.settings, Tally()
    # LockedError: `overread verify` is at it.
    with suppress(StoppedError, LockedError), verifying(settings.data_dir):
        for _ in range(shares_due(settings.data_dir, days=settings.verify_days)):
            verify_next_share(
                context.sessions,
                context.store,
                settings,
                tally=tally,
                stopping=context.stopping.is_set,
            )
    for one in tally.damaged:
        log.error("verification found %s: %s", one.damage, one.why)


def mend_damage(context: AppContext, open_pool: Callable[[], DecoderPool]) -> None:
    """Make network inputs again from stored files; forget what is whole or not needed any more."""
    sessions, store = context.sessions, context.store
    forget = partial(forget_whole, sessions, store, backups=context.settings.verify_backups)
    inputs = [one.name for one in forget() if one.area == "inputs"][:INPUTS_A_RUN]
    if inputs:
        _make_again(context, open_pool, inputs)
        forget()


def _make_again(
    context: AppContext, open_pool: Callable[[], DecoderPool], sha256s: Sequence[str]
) -> None:
    with context.sessions() as session:
        images = find_known_images(session, sha256s)
    stored = {sha256: image.stored_sha256 for sha256, image in images.items()}
    paths = {sha256: path for sha256, one in stored.items() if (path := _intact(context, one))}
    try:
        for sha256, answer in zip(paths, open_pool().prepare_all(paths.values()), strict=True):
            if context.stopping.is_set():
                break
            if isinstance(answer, Prepared):
                context.store.put_network_input(sha256, PREPROCESSING, answer.network_input)
                log.warning("a lost network input was made again: %s", sha256[:12])
    except DecoderError as error:
        raise NoDecodersError(str(error)) from error
    # Their images may have been purged in between.
    delete_unneeded(context.sessions, context.store, stored=(), inputs=paths)


def _intact(context: AppContext, stored_sha256: str | None) -> Path | None:
    try:
        return context.store.checked_path(stored_sha256) if stored_sha256 else None
    except (OSError, DamagedFileError):
        return None
