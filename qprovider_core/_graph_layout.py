"""Where to draw the nodes of a graph, so that distances on paper are about the numbers of steps between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 60


def layout(size: int, edges: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """A place for each node; neighbours are about 1 apart. The same graph is always drawn alike.

    Classical scaling of the distances, then rounds of stress majorization (Guttman's transform), which never makes
    the fit worse.

    Args:
        size: Number of nodes, at most a few hundred.
        edges: Pairs of nodes.
    """
    if size == 1:
        return [(0.0, 0.0)]
    steps = _steps(size, edges)
    # Classical scaling: coordinates from the two largest eigenvectors of the doubly centred squared distances.
    centred = steps**2 - (steps**2).mean(axis=0)
    values, vectors = np.linalg.eigh(-0.5 * (centred - centred.mean(axis=1, keepdims=True)))
    places = vectors[:, -1:-3:-1] * np.sqrt(np.maximum(values[-1:-3:-1], 0.0))
    turn = np.arange(size) * 2.4  # nodes that fell together are taken apart, each in a direction of its own
    places = places + 0.05 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(_ROUNDS):
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        ratio = -np.divide(steps, apart, out=np.zeros_like(steps), where=apart > 1e-9)
        np.fill_diagonal(ratio, 0.0)
        np.fill_diagonal(ratio, -ratio.sum(axis=1))
        places = ratio @ places / size
    places = places * np.where(places[0] > 0, -1.0, 1.0)  # the first node to the upper left
    lengths = [float(np.linalg.norm(places[a] - places[b])) for a, b in edges]
    places = places / (np.median(lengths) or 1.0)
    return [(float(x), float(y)) for x, y in places]


def _steps(size: int, edges: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Shape (size, size): steps from node to node; between parts that are not connected, a little more than any."""
    beside: list[list[int]] = [[] for _ in range(size)]
    for a, b in edges:
        beside[a].append(b)
        beside[b].append(a)
    steps = np.full((size, size), np.inf)
    for start in range(size):
        steps[start, start] = 0
        front = [start]
        while front:
            reached = []
            for here in front:
                for node in beside[here]:
                    if np.isinf(steps[start, node]):
                        steps[start, node] = steps[start, here] + 1
                        reached.append(node)
            front = reached
    return np.where(np.isinf(steps), steps[np.isfinite(steps)].max() + 1.5, steps)
