"""Sentences on images that occur more than once, for every command and the portal."""

from collections.abc import Iterator, Sequence

from pipeline.text import listed, plural

Groups = Sequence[Sequence[str]]  # names (or rows) of each content, the one that counts first


def describe_copies(groups: Groups) -> Iterator[str]:
    if groups:
        count = plural(sum(len(names) - 1 for names in groups), "copy", "copies")
        yield f"{count} of other images not counted: {_named(groups)}"


def describe_contradictions(groups: Groups) -> Iterator[str]:
    if groups:
        count = plural(len(groups), "image")
        yield f"{count} with contradictory labels left out: {_named(groups)}"


def _named(groups: Groups) -> str:
    return listed((" = ".join(names) for names in groups), most=10)
