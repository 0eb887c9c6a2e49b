"""`overread import-dataset`, put together.

list -> hash -> decode what is new -> leakage check -> one transaction with everything

Until that transaction nothing of the set can be seen. Network inputs that are in the file store are
not made again, so the same command goes on where an interrupted one was.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from cli.errors import Failed, Interrupted, UsageProblem
from cli.learn.dataset_contents import Content, Identity, Placed, contents_of, place
from cli.learn.dataset_layout import DatasetFolder, Listed, open_dataset
from cli.learn.import_report import Findings, as_json, sentences
from cli.learn.labelled_images import Refused
from cli.output import sha256_of
from cli.progress import Progress, progress
from models.audit.log import record
from models.config.settings import Settings
from models.context import AppContext, open_context
from models.files.purge import hold_off_purges
from models.learning.datasets import Added, NewImage, add_dataset, find_dataset, imported_contents
from models.learning.labelled_contents import hold_view, labelled_contents
from models.learning.snapshots import SITE, Member, earlier_places
from models.operations.upgrade import upgrade
from models.people.users import ADMIN, find_user
from pipeline.errors import PipelineError, RefusedError
from pipeline.evaluation.leakage import Leak
from pipeline.files.sniff import DICOM, HEAD_BYTES, sniff
from pipeline.text import readable
from pipeline.types import PREPROCESSING, Prepared
from worker.decoders import open_decoders
from worker.night.leaks import candidate_leaks, stored_candidates
from worker.night.membership import Candidate, decide_members

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,71}")
HASHERS = 4
WRITERS = 4  # each waits for the disk


def import_dataset(folder: Path, *, name: str | None, settings: Settings) -> bool:
    """True where every file was read."""
    found = open_dataset(folder)
    chosen = _checked_name(name or folder.resolve().name)
    upgrade(settings)
    context = open_context(settings)
    try:
        run = _Import(context, chosen, found)
        run.run()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on where this one was") from None
    except PipelineError as error:
        raise Failed(str(error)) from None
    except OSError as error:
        raise Failed(f"{error.filename or settings.data_dir}: {error.strerror or error}") from None
    finally:
        context.close()
    return not run.findings.refused


def _checked_name(name: str) -> str:
    if NAME.fullmatch(name) and name.casefold() != SITE:
        return name
    raise UsageProblem(
        f"{name!r} is no name for a set: expected up to 72 letters, digits, spaces, '.', '_', '-'"
        f", and not {SITE!r}; choose one with --name"
    )


@dataclass
class _Import:
    context: AppContext
    name: str
    folder: DatasetFolder
    findings: Findings = field(init=False)

    def __post_init__(self) -> None:
        self.findings = Findings(notes=self.folder.notes)

    def run(self) -> None:
        contents = self._usable(self._list())
        identities = self._read(contents)
        read = [content for content in contents if content.sha256 in identities]
        placed = [self._place(content, identities[content.sha256]) for content in read]
        images = self._kept_in_place([one.image for one in placed])
        self.findings.on_two_sides = sum(one.is_on_two_sides for one in placed)
        if not images:
            self._say_why_nothing()
            return
        self.findings.images = images
        self.findings.leaks = self._leaks(images)
        self._record(images)

    def _list(self) -> list[Content]:
        files = list(self.folder)
        if not files:
            raise UsageProblem(f"{self.name}: there is no labelled image in it")
        with ThreadPoolExecutor(HASHERS) as hashers, progress("Listing", total=len(files)) as shown:
            hashed = hashers.map(_hashed, files)
            try:
                return contents_of(self._counted(files, hashed, shown))
            finally:  # whoever interrupts does not wait for the rest
                hashers.shutdown(cancel_futures=True)

    def _counted(
        self, files: Sequence[Listed], hashed: Iterable[str | Refused], shown: Progress
    ) -> Iterator[tuple[Listed, str]]:
        for number, (file, sha256) in enumerate(zip(files, hashed, strict=True), start=1):
            shown.show(number)
            if isinstance(sha256, Refused):
                self._refuse(sha256)
            else:
                yield file, sha256

    def _usable(self, contents: Sequence[Content]) -> list[Content]:
        """Without contradictions, and without what other sets have."""
        with self.context.sessions() as session:
            known = imported_contents(session, [content.sha256 for content in contents])
        usable = []
        for content in contents:
            elsewhere, _ = known.get(content.sha256, (self.name, None))
            if content.is_contradictory:
                self.findings.contradictory.append(content.files[0].file)
            elif elsewhere != self.name:
                self.findings.elsewhere[elsewhere] += 1
            else:
                self.findings.copies += len(content.files) - 1
                usable.append(content)
        return usable

    def _read(self, contents: Sequence[Content]) -> dict[str, Identity]:
        """By content, of all that could be read; DICOM is read again, for what it says."""
        identities = {one.sha256: Identity() for one in contents if self._is_read(one)}
        new = [one for one in contents if one.sha256 not in identities]
        return identities | (self._read_new(new) if new else {})

    def _read_new(self, new: Sequence[Content]) -> dict[str, Identity]:
        identities: dict[str, Identity] = {}
        key = self.context.secrets.identity_key
        with (
            open_decoders(self.context.settings, key=key) as pool,
            ThreadPoolExecutor(WRITERS) as writers,
            progress("Reading", total=len(new)) as shown,
        ):
            answers = pool.prepare_all(one.files[0].path for one in new)
            written = []
            for number, (one, answer) in enumerate(zip(new, answers, strict=True), start=1):
                shown.show(number)
                if isinstance(answer, RefusedError):
                    self._refuse(Refused(one.files[0].file, str(answer)))
                    continue
                identities[one.sha256] = _identity(answer)
                written.append(writers.submit(self._store, one.sha256, answer.network_input))
            for future in written:
                future.result()
        return identities

    def _is_read(self, content: Content) -> bool:
        has_input = self.context.store.has_network_input(content.sha256, PREPROCESSING)
        return has_input and not _is_dicom(content.files[0].path)

    def _store(self, sha256: str, network_input: NDArray[np.uint8]) -> None:
        self.context.store.put_network_input(sha256, PREPROCESSING, network_input)

    def _place(self, content: Content, identity: Identity) -> Placed:
        key = self.context.secrets.identity_key
        return place(content, identity, dataset=self.name, key=key)

    def _kept_in_place(self, images: Sequence[NewImage]) -> list[NewImage]:
        """What the set has already stays in its split, wherever the folder has it now."""
        with self.context.sessions() as session:
            known = imported_contents(session, [image.sha256 for image in images])
        kept = []
        for image in images:
            _, split = known.get(image.sha256, (self.name, image.split))
            self.findings.moved += split != image.split
            kept.append(NewImage(**{**vars(image), "split": split}))
        return kept

    def _leaks(self, images: Sequence[NewImage]) -> list[Leak]:
        """Those that this set has part in: with itself, other sets, and labelled site images."""
        click.echo("Looking for leaks between the splits.", err=True)
        with self.context.sessions() as session:
            hold_view(session)
            contents, places = labelled_contents(session), earlier_places(session)
        key = self.context.secrets.identity_key
        mine = {image.sha256: _candidate(image, self.name) for image in images}
        others = decide_members(contents, places=places, key=key)
        beside = [one for one in others if one.member.sha256 not in mine]
        films = [*mine.values(), *stored_candidates(self.context, beside)]
        leaks = candidate_leaks(self.context, films)
        return [leak for leak in leaks if leak.kept_out in mine or leak.other in mine]

    def _record(self, images: Sequence[NewImage]) -> None:
        with self.context.sessions.begin() as session:
            hold_off_purges(session)
            self._check_inputs(images)
            user = find_user(session, ADMIN)
            assert user is not None, "upgrade() makes it"
            is_new = find_dataset(session, self.name) is None
            added = add_dataset(
                session,
                self.name,
                images,
                has_own_splits=self.folder.has_own_splits,
                user_id=user.id,
                report=as_json(self.findings),
            )
            if added.images or added.labels:
                record(session, user_id=user.id, action="dataset.imported", target=self.name)
        self._tell(added, is_new=is_new)

    def _check_inputs(self, images: Sequence[NewImage]) -> None:
        """Those that some job's images had already may be gone with them."""
        has_input = self.context.store.has_network_input
        gone = sum(not has_input(image.sha256, PREPROCESSING) for image in images)
        if gone:
            raise Failed(
                f"{self.name}: a purge has just deleted what the network reads of {gone} images; "
                "the same command makes it anew"
            )

    def _say_why_nothing(self) -> None:
        if self.findings.refused and not self.findings.elsewhere:
            raise Failed(f"{self.name}: none of its images could be read")
        self._tell(None, is_new=False)

    def _tell(self, added: Added | None, *, is_new: bool) -> None:
        few = self.context.settings.gate_min_patients
        told = sentences(self.name, self.findings, added=added, is_new=is_new, min_patients=few)
        for line in told:
            click.echo(readable(line))

    def _refuse(self, refused: Refused) -> None:
        self.findings.refused.append(refused)
        click.echo(readable(f"{refused.file}: {refused.reason}"), err=True)


def _hashed(file: Listed) -> str | Refused:
    try:
        return sha256_of(file.path)
    except OSError as error:
        return Refused(file.file, f"cannot be read: {error.strerror}")


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES)) == DICOM
    except (OSError, RefusedError):
        return True  # read again, and refused with the reason


def _identity(prepared: Prepared) -> Identity:
    return Identity(prepared.patient_hash, prepared.study_uid_hash)


def _candidate(image: NewImage, dataset: str) -> Candidate:
    member = Member(image.sha256, image.value, image.split, dataset, image.patient_hash, label_id=0)
    return Candidate(member, image.study_hash)
