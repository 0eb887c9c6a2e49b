"""Which files of a chunk are known, and what decoders say of the others."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.files.damage import Damage, damaged_among, note_damage
from models.intake.claims import Claim
from models.intake.images import ReadImage, find_known_images
from models.tables.intake import State
from pipeline.atomic_file import FileGroup
from pipeline.errors import DamagedFileError, DecoderError, Reason, RefusalCode, RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import PREPROCESSING, LocalTerms, Prepared
from worker.chunks import NoDecodersError, by_turns, describe, raise_if_passing

log = logging.getLogger(__name__)

CHUNK_S = 0.5  # then no more files of a chunk are started: urgent images wait for its end
MISSING = Reason(RefusalCode.BYTES_MISSING, "the uploaded file is no longer in the file store")
DAMAGED = Reason(
    RefusalCode.BYTES_DAMAGED, "the uploaded file was damaged in the file store: send it again"
)
UNREADABLE = Reason(
    RefusalCode.BYTES_DAMAGED,
    "the uploaded file cannot be read in the file store: retry it, or send it again",
)
STORED_DAMAGED = Reason(
    RefusalCode.BYTES_DAMAGED, "the network input is lost and the stored file is damaged"
)


@dataclass
class Outcomes:
    """Of a chunk, by SHA-256; files in none of them were not started."""

    read: dict[str, ReadImage] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    failed: dict[str, Reason] = field(default_factory=dict)
    # Read before, but the network input is lost and only the de-identified file is left.
    to_restore: dict[str, ReadImage] = field(default_factory=dict)
    # Of newly read files.
    inputs: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    # By keyword, words of newly read files that no table knows. They may be names.
    unknown_terms: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def has(self, sha256: str) -> bool:
        return sha256 in self.read or sha256 in self.refused or sha256 in self.failed


def find_known(context: AppContext, claim: Claim) -> Outcomes:
    hashes = [image.sha256 for image in claim.images]
    outcomes = Outcomes()
    with context.sessions() as session:
        images = find_known_images(session, hashes)
        stored = [image.stored_sha256 for image in images.values() if image.stored_sha256]
        damaged = damaged_among(session, "stored", stored)
    for sha256 in hashes:
        image = images.get(sha256)
        known = ReadImage.of_row(image) if image else None
        has_upload = context.store.exists(sha256, area="incoming")
        if known and not context.store.exists(known.stored_sha256):
            known = None
        elif known and known.stored_sha256 in damaged and has_upload:
            known = None  # and its stored file is written over
        if known and context.store.renew_network_input(sha256, PREPROCESSING):
            outcomes.read[sha256] = known
        elif has_upload:
            continue
        elif known:
            outcomes.to_restore[sha256] = known
        elif image is None or image.reason is None or image.reason_code is None:
            outcomes.failed[sha256] = MISSING
        else:  # refused before, and its bytes deleted for it: the same bytes get the same answer
            ended = outcomes.refused if image.state == State.REJECTED else outcomes.failed
            ended[sha256] = Reason(image.reason_code, image.reason)
    return outcomes


def read_new(
    context: AppContext,
    pool: DecoderPool,
    claim: Claim,
    outcomes: Outcomes,
    known_terms: LocalTerms,
) -> None:
    """Stops early, with what it has, when the process is asked to stop or time runs out."""
    settings, began = context.settings, time.monotonic()
    deadline = began + settings.soft_chunk_time_limit_s - settings.decode_timeout_s

    def paths(new: Sequence[str]) -> Iterator[Path]:
        for sha256 in new:
            if time.monotonic() > began + CHUNK_S:
                return
            yield _path(context, sha256, outcomes)

    def decode() -> Iterator[tuple[str, Prepared | RefusedError]]:
        new = [sha256 for sha256 in by_turns(claim) if not outcomes.has(sha256)]
        answers = pool.prepare_all(paths(new), local_terms=known_terms)
        for answer, sha256 in zip(answers, new, strict=False):
            if context.stopping.is_set():
                return  # before the answer is used: its decoder may have been stopped
            yield sha256, answer
            if time.monotonic() > deadline:
                return

    try:
        with context.store.group() as files:
            for sha256, answer in decode():
                if (loss := _loss(context, sha256, outcomes)) is not None:
                    outcomes.failed[sha256] = loss
                elif isinstance(answer, RefusedError):
                    outcomes.refused[sha256] = answer.reason
                else:
                    outcomes.unknown_terms[sha256] = answer.unknown_terms
                    outcomes.inputs[sha256] = answer.network_input
                    outcomes.read[sha256] = _store(context, files, sha256, answer, outcomes)
    except DecoderError as error:  # a decoder does not start, which is no file's fault
        raise NoDecodersError(str(error)) from error


def _loss(context: AppContext, sha256: str, outcomes: Outcomes) -> Reason | None:
    """Compare with its hash what was decoded, while the system's cache still has it."""
    known = outcomes.to_restore.get(sha256)
    moment = time.time()
    try:
        if known:
            context.store.checked_path(known.stored_sha256)
        else:
            context.store.checked_path(sha256, area="incoming")
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        raise_if_passing(error)
        log.error("a file cannot be read, %s: %s", sha256[:12], describe(error))
        loss = UNREADABLE
    except DamagedFileError:
        log.error("a file is damaged: %s", sha256[:12])
        loss = DAMAGED
    else:
        return None
    if known:
        with context.sessions.begin() as session:
            note_damage(session, [Damage("stored", known.stored_sha256)])
        return STORED_DAMAGED
    if loss == DAMAGED:  # a retry is then told that it is missing
        context.store.delete(sha256, before=moment)  # it may have been sent again
    return loss


def _path(context: AppContext, sha256: str, outcomes: Outcomes) -> Path:
    if sha256 in outcomes.to_restore:
        return context.store.path(outcomes.to_restore[sha256].stored_sha256)
    return context.store.path(sha256, area="incoming")


def _store(
    context: AppContext, files: FileGroup, sha256: str, prepared: Prepared, outcomes: Outcomes
) -> ReadImage:
    context.store.put_network_input(sha256, PREPROCESSING, prepared.network_input, group=files)
    if sha256 in outcomes.to_restore:
        return outcomes.to_restore[sha256]
    stored = prepared.stored
    assert stored is not None, "the pool has a key"
    return ReadImage(
        media_type=stored.media_type,
        stored_sha256=context.store.put_bytes(stored.blob, group=files).sha256,
        rows=prepared.rows,
        columns=prepared.columns,
        range_rule=prepared.range_rule,
        pixel_aspect=prepared.pixel_aspect,
        tags=prepared.tags,
        warnings=list(prepared.warnings),
        sop_instance_uid=stored.sop_instance_uid,
        study_hash=stored.study_uid_hash,
        patient_hash=stored.patient_hash,
    )
