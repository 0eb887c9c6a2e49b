"""Import a labelled data set.

list and hash -> decode new files -> leakage check -> one transaction with everything

Nothing of the data set is visible before that transaction. Network inputs that are in the file
store are not made again, so a repeated import continues an interrupted one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.audit.log import record
from models.context import AppContext
from models.files.garbage import hold_off_purges
from models.learning.datasets import Added, NewImage, add_dataset, imported_files
from models.learning.labelled_blobs import labelled_blobs, use_repeatable_read
from models.learning.snapshots import SITE, Member, past_members
from pipeline.errors import PipelineError, RefusedError
from pipeline.evaluation.leakage import Leak
from pipeline.files.sniff import DICOM, HEAD_BYTES, sniff
from pipeline.look_ahead import map_ahead
from pipeline.text import plural
from pipeline.training.labelled.contents import Blob, read_contents
from pipeline.training.labelled.dataset import LabelledDataset
from pipeline.training.labelled.image import DatasetError, RefusedImage
from pipeline.types import PREPROCESSING, Prepared, Split
from worker.datasets.placement import DicomIdentity, place
from worker.datasets.report import ImportReport, notes_on
from worker.decoders import open_decoders
from worker.night.leaks import candidate_leaks, stored_candidates
from worker.night.membership import Candidate, decide_members

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,71}")
WRITERS = 4  # each waits for the disk


class ImportFailedError(PipelineError):
    """Nothing was imported; importing again may work."""


@dataclass(frozen=True)
class ImportEvents:
    """Callbacks. progress: stage ("list", "read" or "leaks"), images done, images in all."""

    progress: Callable[[str, int, int], None] = lambda stage, done, total: None
    refused: Callable[[RefusedImage], None] = lambda refused: None


def check_name(name: str) -> str:
    """Raises DatasetError."""
    if NAME.fullmatch(name) and name.casefold() != SITE:
        return name
    raise DatasetError(
        f"invalid dataset name {name!r}: expected up to 72 letters, digits, spaces, '.', '_', '-'"
        f", and not {SITE!r}; choose one with --name"
    )


class DatasetImport:
    """Adds what is new of a data set. name: as `check_name` returns it."""

    def __init__(
        self, context: AppContext, dataset: LabelledDataset, name: str, events: ImportEvents
    ) -> None:
        self._context, self._dataset, self._name, self._events = context, dataset, name, events
        self._key = context.secrets.identity_key
        self._report = ImportReport()

    def run(self, user_id: int) -> ImportReport:
        """Raises DatasetError, ImportFailedError, OSError."""
        blobs = self._usable(self._list())
        images = self._place(blobs, self._read(blobs))
        if not images:
            if self._report.refused and not self._report.elsewhere:
                raise ImportFailedError(f"{self._name}: none of its images could be read")
            return self._report
        self._report.images = images
        self._report.leaks = self._find_leaks(images)
        self._report.added = self._record(images, user_id)
        return self._report

    def _list(self) -> list[Blob]:
        files = list(self._dataset)
        self._report.notes = notes_on(self._dataset)
        if not files:
            notes = self._dataset.notes()
            raise DatasetError("; ".join([f"{self._name}: no labelled images", *notes]))
        self._report.contents = read_contents(
            files,
            progress=lambda done: self._events.progress("list", done, len(files)),
            refused=self._refuse,
        )
        return self._report.contents.blobs

    def _usable(self, blobs: Sequence[Blob]) -> list[Blob]:
        """Without what other data sets have."""
        with self._context.sessions() as session:
            known = imported_files(session, [blob.sha256 for blob in blobs])
        usable = []
        for blob in blobs:
            owner = known[blob.sha256].dataset if blob.sha256 in known else self._name
            if owner != self._name:
                self._report.elsewhere[owner] += 1
            else:
                usable.append(blob)
        return usable

    def _read(self, blobs: Sequence[Blob]) -> dict[str, DicomIdentity]:
        """By SHA-256, of all that could be read."""
        has_input = self._context.store.renew_network_input
        identities = {
            blob.sha256: DicomIdentity()
            for blob in blobs
            if has_input(blob.sha256, PREPROCESSING) and not _is_dicom(blob.files[0].path)
        }
        # DICOM is read each time, for its patient and study.
        new = [blob for blob in blobs if blob.sha256 not in identities]
        return identities | (self._read_new(new) if new else {})

    def _read_new(self, blobs: Sequence[Blob]) -> dict[str, DicomIdentity]:
        identities: dict[str, DicomIdentity] = {}
        with open_decoders(self._context.settings, key=self._key) as pool:
            decoded = pool.prepare_all(blob.files[0].path for blob in blobs)
            stored = map_ahead(self._store, zip(blobs, decoded, strict=True), threads=WRITERS)
            for number, (blob, found) in enumerate(zip(blobs, stored, strict=True), start=1):
                self._events.progress("read", number, len(blobs))
                if isinstance(found, RefusedError):
                    self._refuse(RefusedImage(blob.files[0].file, str(found)))
                else:
                    identities[blob.sha256] = found
        return identities

    def _store(self, read: tuple[Blob, Prepared | RefusedError]) -> DicomIdentity | RefusedError:
        blob, prepared = read
        if isinstance(prepared, RefusedError):
            return prepared
        self._context.store.put_network_input(blob.sha256, PREPROCESSING, prepared.network_input)
        stored = prepared.stored
        assert stored is not None, "the pool has a key"
        return DicomIdentity(stored.patient_hash, stored.study_uid_hash)

    def _place(self, blobs: Sequence[Blob], identities: dict[str, DicomIdentity]) -> list[NewImage]:
        """Images that the data set has keep their split, wherever the folder has them now."""
        with self._context.sessions() as session:
            known = imported_files(session, identities)
        images = []
        for blob in blobs:
            if (identity := identities.get(blob.sha256)) is None:
                continue
            image, is_in_several_splits = place(
                blob, identity, dataset=self._name, stated=self._dataset.splits, key=self._key
            )
            split = known[image.sha256].split if image.sha256 in known else image.split
            self._report.in_several_splits += is_in_several_splits
            self._report.moved += split != image.split
            images.append(replace(image, split=split))
        return images

    def _find_leaks(self, images: Sequence[NewImage]) -> list[Leak]:
        """Leaks within this data set, and between it and other sets or labelled site images."""
        self._events.progress("leaks", 0, len(images))
        with self._context.sessions() as session:
            use_repeatable_read(session)
            blobs, past = labelled_blobs(session), past_members(session)
        own = {image.sha256: _candidate(image, self._name) for image in images}
        labelled = decide_members(blobs, past=past, key=self._key)
        others = [one for one in labelled if one.member.sha256 not in own]
        compared = [*own.values(), *stored_candidates(self._context, others)]
        leaks = candidate_leaks(self._context, compared)
        self._events.progress("leaks", len(images), len(images))
        return [leak for leak in leaks if leak.excluded in own or leak.other in own]

    def _record(self, images: Sequence[NewImage], user_id: int) -> Added:
        with self._context.sessions.begin() as session:
            hold_off_purges(session)
            self._check_inputs(images)
            added = add_dataset(
                session,
                self._name,
                images,
                has_own_splits=bool(self._dataset.splits - {Split.TRAIN}),
                user_id=user_id,
                report=self._report.as_json(),
            )
            if added.images or added.labels:
                record(session, user_id=user_id, action="dataset.imported", target=self._name)
        return added

    def _check_inputs(self, images: Sequence[NewImage]) -> None:
        """A purge of a job with the same images may have deleted them during the import."""
        has_input = self._context.store.has_network_input
        gone = sum(not has_input(image.sha256, PREPROCESSING) for image in images)
        if gone:
            raise ImportFailedError(
                f"{self._name}: a purge has just deleted the network inputs of "
                f"{plural(gone, 'image')}; run the same command again"
            )

    def _refuse(self, refused: RefusedImage) -> None:
        self._report.refused.append(refused)
        self._events.refused(refused)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES)) == DICOM
    except (OSError, RefusedError):
        return True  # read again, and refused with the reason


def _candidate(image: NewImage, dataset: str) -> Candidate:
    member = Member(image.sha256, image.value, image.split, dataset, image.patient_hash, label_id=0)
    return Candidate(member, image.study_hash)
