"""Base classes and common fields of the API's input and output; OpenAPI is generated from these.

Fields that equal those of a dataclass in `models` are taken from it.
"""

from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

LAST_PAGE = 1_000_000  # databases cannot skip more rows than an integer holds
# PostgreSQL stores no zero bytes.
Text = Annotated[str, StringConstraints(pattern="^[^\\x00]*$")]


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, protected_namespaces=())

    @classmethod
    def of(cls, row: object, **more: Any) -> Self:
        """Fields that are not in `more` are attributes of the row."""
        columns = {name: getattr(row, name) for name in cls.model_fields if name not in more}
        return cls.model_validate(columns | more)


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Paging(BaseModel):
    page: int = Field(1, ge=1, le=LAST_PAGE)

    def kept(self) -> dict[str, Any]:
        """Order and filters of a list, without its page, for links."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"page"})


class Problem(BaseModel):
    """RFC 9457. code: where the status alone does not say what to do."""

    title: str
    status: int
    code: str | None = None


def one_of(*names: str) -> dict[str, Any]:
    """JSON schema of a model that takes exactly one of these fields; the others may be null."""
    null = {"type": "null"}
    return {
        "oneOf": [
            {
                "required": [name],
                "properties": {other: null if other != name else {"not": null} for other in names},
            }
            for name in names
        ]
    }


def out_model(kind: type, name: str, *, about: str = "", **more: object) -> type[Out]:
    """The fields of a dataclass as the model of a whole answer.

    more: types of further fields. about: a sentence on these.
    """
    hints = get_type_hints(kind) | more
    fields: dict[str, object] = {name: (hint, ...) for name, hint in hints.items()}
    model: type[Out] = create_model(  # type: ignore[call-overload]
        name, __base__=Out, __doc__=f"{kind.__doc__}{about}", **fields
    )
    return model


class FileOut(Out):
    file: str
    sha256: str
    status: str
    reason: str | None


class FilesOut(Out):
    """files: one entry for each image row, at most 1,000; unlisted: the number of further ones.

    ignored: names of files such as `.DS_Store`, which are no images.
    """

    files: list[FileOut] = Field(default_factory=list)
    ignored: list[str] = Field(default_factory=list)
    unlisted: int = 0
