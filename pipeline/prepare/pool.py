"""Reads files in separate processes, so that a crash or a hang costs one file only.

Subprocesses rather than `multiprocessing`, whose spawned children import the parent's main
module: for a worker or the command line ten times what a decoder needs. They are contained
(`sandbox`), and what they answer is checked (`answers`).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import RefusedError
from pipeline.limits import Limits
from pipeline.look_ahead import map_ahead
from pipeline.prepare.decoder import Decoder, DecoderSettings
from pipeline.types import NO_LOCAL_TERMS, LocalTerms, Prepared

_LOOK_AHEAD: Final = 4  # files in progress or done, for each process


class DecoderPool:
    """Reads files in `processes` processes, which start at once and outlive many files.

    timeout_s: for one file. key: with it, files to prepare are de-identified too. program, files:
    see `DecoderSettings`. Safe to share between threads. A context manager; leaving it ends the
    processes.
    """

    def __init__(
        self,
        *,
        processes: int,
        timeout_s: float,
        limits: Limits = Limits(),
        key: bytes | None = None,
        program: str = DecoderSettings.program,
        files: int = DecoderSettings.files,
    ) -> None:
        settings = DecoderSettings(limits, timeout_s, key, program, files)
        self._decoders = [Decoder(settings) for _ in range(processes)]
        self._idle: SimpleQueue[Decoder] = SimpleQueue()
        for decoder in self._decoders:
            self._idle.put(decoder)

    def prepare_all(
        self, paths: Iterable[Path], *, local_terms: LocalTerms = NO_LOCAL_TERMS
    ) -> Iterator[Prepared | RefusedError]:
        """Yield one answer for each path, in order, working only a little ahead.

        Raises DecoderError if a process cannot be started.
        """
        processes = len(self._decoders)
        prepare = partial(self._prepare, local_terms=local_terms)
        return map_ahead(prepare, paths, threads=processes, ahead=_LOOK_AHEAD * processes)

    def display(
        self, path: Path, heatmap: NDArray[np.float32] | None = None, *, orientation: int = 0
    ) -> bytes | RefusedError:
        """Return a file's picture as PNG: the radiograph in grey, or with a heatmap over it in RGB.

        heatmap: float32 (h, w) in logits. orientation: of the stored image, which is drawn upright.
        Raises DecoderError if a process cannot be started.
        """
        # Pillow is needed for pictures only.
        from pipeline.drawing import display_png, overlay_png

        levels = self.levels(path)
        if isinstance(levels, RefusedError):
            return levels
        if heatmap is None:
            return display_png(levels, orientation=orientation)
        return overlay_png(levels, heatmap, orientation=orientation)

    def levels(self, path: Path) -> NDArray[np.uint8] | RefusedError:
        """Return a file's `drawing.display_levels`.

        Raises DecoderError if a process cannot be started.
        """
        with self._borrowed() as decoder:
            answer = decoder.answer("display", path)
        assert not isinstance(answer, Prepared)
        return answer

    def containment(self) -> Mapping[str, str]:
        """Return what contains the processes, see `sandbox.contain`.

        Raises DecoderError if none can be started.
        """
        with self._borrowed() as decoder:
            return decoder.containment()

    def process_ids(self) -> list[int]:
        return [decoder.process.pid for decoder in self._decoders]

    def close(self) -> None:
        """End the processes; files in progress are abandoned."""
        for decoder in self._decoders:
            decoder.end()
        for decoder in [self._idle.get() for _ in self._decoders]:  # waits until no thread uses it
            decoder.clean_up()
            self._idle.put(decoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _prepare(self, path: Path, local_terms: LocalTerms) -> Prepared | RefusedError:
        with self._borrowed() as decoder:
            answer = decoder.answer("prepare", path, local_terms)
        assert not isinstance(answer, np.ndarray)
        return answer

    @contextmanager
    def _borrowed(self) -> Iterator[Decoder]:
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)
