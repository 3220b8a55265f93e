"""The little linear algebra that Mahalanobis distances need, for matrices of three to five rows, without numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

Matrix = list[list[float]]


def mean(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each column."""
    return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]


def covariance(rows: Sequence[Sequence[float]], centre: Sequence[float], ridge: float = 0.0) -> Matrix:
    """The covariance around `centre`; `ridge` is added to the diagonal so that no direction is without variance."""
    size = len(centre)
    count = max(1, len(rows) - 1)
    return [
        [
            math.fsum((row[i] - centre[i]) * (row[j] - centre[j]) for row in rows) / count + (ridge if i == j else 0.0)
            for j in range(size)
        ]
        for i in range(size)
    ]


def inverse(matrix: Sequence[Sequence[float]]) -> Matrix:
    """The inverse, by Gauss and Jordan with pivots; `ValueError` when there is none."""
    size = len(matrix)
    work = [[*map(float, row), *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(work[row][column]))
        if abs(work[pivot][column]) < 1e-12:
            raise ValueError("the matrix has no inverse")
        work[column], work[pivot] = work[pivot], work[column]
        scale = work[column][column]
        work[column] = [value / scale for value in work[column]]
        for row in range(size):
            if row != column and work[row][column]:
                factor = work[row][column]
                work[row] = [value - factor * other for value, other in zip(work[row], work[column], strict=True)]
    return [row[size:] for row in work]


def mahalanobis(point: Sequence[float], centre: Sequence[float], inverted: Sequence[Sequence[float]]) -> float:
    """How far `point` lies from `centre` in the measure of the inverted covariance."""
    apart = [value - other for value, other in zip(point, centre, strict=True)]
    square = math.fsum(
        one * math.fsum(cell * other for cell, other in zip(row, apart, strict=True))
        for one, row in zip(apart, inverted, strict=True)
    )
    return math.sqrt(max(0.0, square))
