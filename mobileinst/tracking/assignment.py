"""The rectangular assignment problem (Hungarian method) in NumPy: SciPy is no dependency of the runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def linear_assignment(cost: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair rows with columns one to one so that the summed cost is least.

    Shortest augmenting paths with dual variables (Crouse, 2016), O(min(m, n)^2 max(m, n)).

    Args:
        cost: finite numbers, (m, n).

    Returns:
        rows and columns of the min(m, n) pairs, int64, rows ascending.

    Raises:
        ValueError: if `cost` is no matrix or not finite.

    Example:
        >>> rows, columns = linear_assignment([[4, 1, 3], [2, 0, 5]])
        >>> columns.tolist()
        [1, 0]
    """
    matrix = np.asarray(cost, np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"expected a cost matrix (m, n), got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("expected finite costs, got NaN or infinity")
    if matrix.shape[0] > matrix.shape[1]:
        columns, rows = linear_assignment(matrix.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    row_dual = np.zeros(matrix.shape[0])
    column_dual = np.zeros(matrix.shape[1])
    column_of = np.full(matrix.shape[0], -1, np.int64)
    row_of = np.full(matrix.shape[1], -1, np.int64)
    for row in range(matrix.shape[0]):
        _augment(matrix, row, row_dual, column_dual, column_of, row_of)
    return np.arange(matrix.shape[0], dtype=np.int64), column_of


def _augment(
    matrix: NDArray[np.float64],
    start: int,
    row_dual: NDArray[np.float64],
    column_dual: NDArray[np.float64],
    column_of: NDArray[np.int64],
    row_of: NDArray[np.int64],
) -> None:
    """Assign one more row along the shortest path of reduced costs to a free column."""
    shortest = np.full(matrix.shape[1], np.inf)
    came_from = np.full(matrix.shape[1], -1, np.int64)
    done = np.zeros(matrix.shape[1], np.bool_)
    visited = [start]
    row, length = start, 0.0
    while True:
        reduced = length + matrix[row] - row_dual[row] - column_dual
        better = ~done & (reduced < shortest)
        shortest[better] = reduced[better]
        came_from[better] = row
        column = int(np.argmin(np.where(done, np.inf, shortest)))
        length = float(shortest[column])
        done[column] = True
        if row_of[column] < 0:
            break
        row = int(row_of[column])
        visited.append(row)
    row_dual[start] += length
    for other in visited[1:]:
        row_dual[other] += length - shortest[column_of[other]]
    column_dual[done] -= length - shortest[done]
    while True:
        row = int(came_from[column])
        row_of[column] = row
        column_of[row], column = column, int(column_of[row])
        if row == start:
            return
