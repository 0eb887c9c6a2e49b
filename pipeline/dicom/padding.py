"""Padding of images that are not rectangular (Pixel Padding Value, PS3.3 C.7.5.1.1.2).

The standard promises that no pixel of the film itself has a padding value. Devices state their
white or black all the same, with which a film is saturated in places: so padding is only what
touches the border and, unless it is as dark as the film's darkest, does not fade into the film.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ends = tuple[float, float]

# A saturated part of a film fades into the rest: most of its neighbours are nearly as bright.
# Padding ends at whatever the film shows there.
_FADING: Final = 0.05  # of the film's range
_DARKER: Final = 0.01  # of the film may be darker than padding that is black
_SOME, _MOST = 0.1, 0.5  # of the neighbours
_MOST_RUNS: Final = 32  # of padding in a row, on average


def has_padding_value(frame: NDArray[Any], padding: Ends | None) -> Mask | None:
    """Return bool (H, W), True where a stored value is one of padding, None where none is.

    padding: the least and the greatest, as stored values. None also for colours.
    """
    if padding is None or frame.ndim != 2:
        return None
    low, high = padding
    if frame.dtype.kind == "f":  # limits may be beyond what its type holds
        greatest = float(np.finfo(frame.dtype).max)
        low, high = (min(max(end, -greatest), greatest) for end in padding)
    mask = (frame >= low) & (frame <= high)
    return mask if mask.any() else None


def padding_mask(
    frame: NDArray[Any], padding: Ends | None, *, stored: Ends, is_inverse: bool
) -> Mask | None:
    """Return bool (H, W), True where a pixel is padding, None where none is.

    frame: values as stored, before any table or window. padding: see `has_padding_value`.
    stored: the range that the film's own values can have. A padding value beyond it is padding
    anywhere. is_inverse: whether the least value is white.
    """
    mask = has_padding_value(frame, padding)
    if mask is None or padding is None or padding[1] < stored[0] or padding[0] > stored[1]:
        return mask
    mask = _connected_to_border(mask)
    film = frame[::8, ::8][~mask[::8, ::8]].astype(np.float64)
    darker = film > padding[1] if is_inverse else film < padding[0]
    if film.size and darker.mean() > _DARKER:
        fading = _FADING * float(np.ptp(film))
        if _share_below(mask, frame, fading) > _SOME:
            mask = _outside(mask)
        if _share_below(mask, frame, fading) > _MOST:
            return None
    return mask if mask.any() else None


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that contain more than padding; empty if none do."""
    rows, columns = (np.flatnonzero(~mask.all(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _connected_to_border(mask: Mask) -> Mask:
    """Keep what is connected to the border over edges of pixels: runs of rows that overlap."""
    rows, columns = mask.shape
    edges = np.diff(mask, axis=1, prepend=False, append=False)
    row, column = np.divmod(np.flatnonzero(edges), columns + 1)
    row, start, end = row[::2], column[::2], column[1::2]
    if len(row) > _MOST_RUNS * rows:  # noise
        return _outside(mask)
    # Runs in order of rows: those of the next row that overlap a run follow each other.
    below = (row + 1) * (columns + 1)
    first = np.searchsorted(row * (columns + 1) + end, below + start, side="right")
    last = np.searchsorted(row * (columns + 1) + start, below + end, side="left")
    count = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(row)), count)
    lower = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    lower += np.repeat(first, count)
    group = _groups(len(row), upper, lower)
    touching = (row == 0) | (row == rows - 1) | (start == 0) | (end == columns)
    is_kept = np.isin(group, group[touching])
    lengths = np.diff(np.stack([row * columns + start, row * columns + end]).T.ravel(), prepend=0)
    values = np.stack([np.zeros_like(is_kept), is_kept]).T.ravel()
    kept = np.repeat(values, lengths)
    return np.pad(kept, (0, mask.size - len(kept))).reshape(mask.shape)


def _groups(count: int, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the least number that each of `count` nodes is joined to by pairs of nodes."""
    group = np.arange(count)
    while True:
        least = np.minimum(group[ones], group[others])
        joined = group.copy()
        for nodes in (ones, others, group[ones], group[others]):
            np.minimum.at(joined, nodes, least)
        joined = joined[joined]
        if (joined == group).all():
            return group
        group = joined


def _share_below(mask: Mask, frame: NDArray[Any], limit: float) -> float:
    """Return the share of the mask's neighbours that differ from it by no more than the limit."""
    steps = np.concatenate([_steps(mask, frame, 0, 1), _steps(mask, frame, 1, 0)])
    return float((steps <= limit).mean()) if len(steps) else 0


def _steps(mask: Mask, frame: NDArray[Any], down: int, right: int) -> NDArray[np.float64]:
    """Return by how much neighbours differ of which one is in the mask."""
    rows, columns = mask.shape[0] - down, mask.shape[1] - right
    places = np.flatnonzero(mask[:rows, :columns] != mask[down:, right:])
    row, column = np.divmod(places, columns)
    steps: NDArray[np.float64] = np.abs(
        frame[row, column].astype(np.float64) - frame[row + down, column + right]
    )
    return steps


def _outside(mask: Mask) -> Mask:
    """Keep what lies outside a film without hollows: towards a side and towards top or bottom."""
    return _towards_sides(mask) & _towards_sides(mask.T).T


def _towards_sides(mask: Mask) -> Mask:
    """Keep what only padding parts from the left or right border."""
    columns = mask.shape[1]
    is_whole = mask.all(axis=1)
    first = np.where(is_whole, columns, mask.argmin(axis=1))
    last = np.where(is_whole, 0, columns - mask[:, ::-1].argmin(axis=1))
    column = np.arange(columns)
    found: Mask = (column < first[:, np.newaxis]) | (column >= last[:, np.newaxis])
    return found
