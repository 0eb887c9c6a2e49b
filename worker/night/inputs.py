"""Network inputs for nights and imports."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.files.damage import Damage, note_damage
from models.files.presence import require_store
from pipeline.errors import DamagedFileError, PipelineError
from pipeline.types import PREPROCESSING
from worker.chunks import raise_if_passing


class MissingInputError(PipelineError):
    """A network input is no longer in the file store, or damaged."""


def read_input(context: AppContext, sha256: str, preprocessing: str) -> NDArray[np.uint8]:
    """uint8 (224, 224). What is lost is noted as damage, so that it is made again within the hour.

    Raises MissingInputError.
    """
    try:
        return context.store.network_input(sha256, preprocessing)
    except OSError as error:
        raise_if_passing(error)
    except DamagedFileError:
        pass
    require_store(context.store.root)
    with context.sessions.begin() as session:
        note_damage(session, [Damage("inputs", sha256)])
    raise MissingInputError(
        f"the network input {sha256[:12]}, preprocessing {preprocessing}, "
        "is no longer in the file store"
    )


def read_inputs(context: AppContext, sha256s: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 (n, 224, 224), in the order asked for; n > 0. Raises MissingInputError."""
    return np.stack([read_input(context, sha256, PREPROCESSING) for sha256 in sha256s])
