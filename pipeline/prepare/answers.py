"""What a decoder process may say, checked field by field in the process that asked.

The decoder reads hostile files with C code, so whatever it sends may be made up by an attacker.
"""

from collections.abc import Set
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.dicom.vocabulary.terms import TAGS, is_kept
from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import DISPLAY_SIDE
from pipeline.prepare.wire import MAX_TEXT, MAX_TRACE, MAX_WARNINGS, Channel, WireError
from pipeline.pseudonym import LONGEST_IDENTIFIER
from pipeline.types import NETWORK_INPUT_SIDE, Deidentified, Prepared, RangeRule

# A decoder may use 1 GB of memory, and holds at least two copies of what it has written: a file's
# pixels and the new file, or the content of the file and the new one.
MAX_BLOB_BYTES: Final = 500_000_000

Text = Annotated[str, Field(max_length=MAX_TEXT, pattern=r"^\P{C}*$")]  # one line, as it reads
CodeString = Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]  # PS3.5 6.2, VR CS
TermKeyword = Annotated[str, Field(pattern=r"^(BodyPartExamined|ViewPosition)$")]
Identifier = Annotated[str, Field(max_length=LONGEST_IDENTIFIER)]
Question = (
    tuple[Literal["patient"], Identifier, Identifier] | tuple[Literal["study", "uid"], Identifier]
)
# Kind of a question, and the keyed hash that answered it; of kind `uid`, the UID made of that.
Issued = Set[tuple[str, str]]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Ready(_Message):
    """containment: see `sandbox.contain`."""

    kind: Literal["ready"]
    containment: Annotated[dict[Text, Text], Field(max_length=16)]


class Questions(_Message):
    """For keyed hashes, see `pseudonym.Pseudonyms`."""

    kind: Literal["questions"]
    questions: Annotated[list[Question], Field(max_length=8)]


class Refusal(_Message):
    kind: Literal["refusal"]
    code: RefusalCode
    clause: Text

    def error(self) -> RefusedError:
        return RefusedError(self.code, self.clause)


class Fault(_Message):
    """The code is at fault. places: an error's type and where it was raised, for the log."""

    kind: Literal["fault"]
    places: Annotated[str, Field(max_length=MAX_TRACE, pattern=r"^[\w.:;<> -]*$")]


class _Stored(_Message):
    """Fields as of `Deidentified`; the blob follows the network input."""

    blob_bytes: Annotated[int, Field(ge=1, le=MAX_BLOB_BYTES)]
    media_type: Literal["application/dicom", "image/png", "image/jpeg"]
    study_uid_hash: Text | None
    patient_hash: Text | None
    sop_instance_uid: Text | None

    def read(self, channel: Channel, issued: Issued) -> Deidentified:
        stated = {
            ("study", self.study_uid_hash),
            ("patient", self.patient_hash),
            ("uid", self.sop_instance_uid),
        }
        if any(value is not None and (kind, value) not in issued for kind, value in stated):
            raise WireError("pseudonym that was not given for this file")
        return Deidentified(
            blob=bytes(channel.receive_bytes(self.blob_bytes)),
            media_type=self.media_type,
            study_uid_hash=self.study_uid_hash,
            patient_hash=self.patient_hash,
            sop_instance_uid=self.sop_instance_uid,
        )


class PreparedFile(_Message):
    """Fields as of `Prepared`; the network input follows."""

    kind: Literal["prepared"]
    rows: Annotated[int, Field(ge=1, lt=2**16)]
    columns: Annotated[int, Field(ge=1, lt=2**16)]
    tags: Annotated[dict[Text, Text], Field(max_length=len(TAGS))]
    warnings: Annotated[list[Text], Field(max_length=MAX_WARNINGS)]
    range_rule: RangeRule
    pixel_aspect: Annotated[float, Field(ge=0.01, le=100)]
    unknown_terms: dict[TermKeyword, CodeString]
    stored: _Stored | None

    @model_validator(mode="after")
    def _check_tags(self) -> Self:
        if not all(is_kept(keyword, value) for keyword, value in self.tags.items()):
            raise ValueError
        return self

    def read(self, channel: Channel, issued: Issued | None) -> Prepared:
        """issued: None where no pseudonyms are given, so that nothing may be stored.

        Raises WireError.
        """
        if (self.stored is None) != (issued is None):
            raise WireError("file to store missing or not asked for")
        pixels = np.frombuffer(channel.receive_bytes(NETWORK_INPUT_SIDE**2), np.uint8)
        return Prepared(
            network_input=pixels.reshape(NETWORK_INPUT_SIDE, NETWORK_INPUT_SIDE),
            rows=self.rows,
            columns=self.columns,
            tags=self.tags,
            warnings=tuple(self.warnings),
            range_rule=self.range_rule,
            pixel_aspect=self.pixel_aspect,
            unknown_terms=dict(self.unknown_terms),
            stored=self.stored.read(channel, issued or set()) if self.stored else None,
        )


class Picture(_Message):
    """Levels as of `drawing.display_levels` follow."""

    kind: Literal["picture"]
    rows: Annotated[int, Field(ge=1, le=DISPLAY_SIDE)]
    columns: Annotated[int, Field(ge=1, le=DISPLAY_SIDE)]

    def read(self, channel: Channel) -> NDArray[np.uint8]:
        levels = np.frombuffer(channel.receive_bytes(self.rows * self.columns), np.uint8)
        return levels.reshape(self.rows, self.columns)


Message = Ready | Questions | Refusal | Fault | PreparedFile | Picture
_MESSAGES: Final[TypeAdapter[Message]] = TypeAdapter(
    Annotated[Message, Field(discriminator="kind")]
)


def receive(channel: Channel) -> Message:
    """Raises WireError; it tells the kind of error only, as values may be a patient's."""
    try:
        return _MESSAGES.validate_json(channel.receive())
    except ValidationError as error:
        kinds = sorted({one["type"] for one in error.errors(include_input=False)})
        raise WireError(f"invalid message: {', '.join(kinds)}") from None
