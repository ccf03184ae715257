"""A device's qubits as a small drawing: how they are connected, and how good each is by its calibration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from qprovider_core._html import Markup, element, escaped, joined, paragraph

if TYPE_CHECKING:
    from qprovider_core.records import BackendConfiguration, BackendProperties

Place: TypeAlias = tuple[float, float]
Pair: TypeAlias = tuple[int, int]

_MOST_QUBITS = 450
_STEP = 28.0  # from a qubit to the next, in units of the drawing
_RADIUS = 10.5
# From the best to the worst. Black numbers can be read on all of them; a line in the page's own colour goes around.
_SHADES = ("#7fb3e0", "#b3d0ea", "#e6e6e6", "#f4c095", "#ef9a52")


def qubit_map(configuration: BackendConfiguration | None, properties: BackendProperties) -> Markup:
    """The drawing with its legend; a sentence where the device is too large for one; nothing where no qubit is told."""
    qubits = properties.bare.qubits
    if not qubits:
        return Markup("")
    errors = [_probability(values.get("readout_error")) for values in qubits]
    faulty = set(properties.faulty_qubits())
    pairs = _pairs(configuration, properties)
    legend = _legend(errors, pairs, faulty)
    if len(qubits) > _MOST_QUBITS:
        return joined([paragraph(f"A map of {len(qubits):,} qubits is too large to be shown here."), legend])
    places = _places(configuration, len(qubits), pairs)
    left, top = min(x for x, _ in places), min(y for _, y in places)
    drawn = [((x - left) * _STEP + _STEP / 2, (y - top) * _STEP + _STEP / 2) for x, y in places]
    width, height = (max(at) + _STEP / 2 for at in zip(*drawn, strict=True))
    scale = _Scale(error for qubit, error in enumerate(errors) if qubit not in faulty)
    name = f"{len(qubits)} qubits of {properties.backend_name}, coloured by readout error"
    svg = element(
        "svg",
        element("title", name),
        *_lines(pairs, drawn, faulty),
        *(_qubit(q, drawn[q], scale, values, q in faulty) for q, values in enumerate(qubits)),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        role="img",
        aria_label=name,
        style="max-width:100%;height:auto;display:block",
    )
    return joined([svg, legend])


# -- what is drawn ----------------------------------------------------------------------------------------------------


def _probability(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if known else None


def _pairs(configuration: BackendConfiguration | None, properties: BackendProperties) -> dict[Pair, float | None]:
    """Connected qubits, the lower one first, and the error of the best two-qubit gate on them where it is told."""
    found: dict[Pair, float | None] = {}
    size = len(properties.bare.qubits)
    for pair in (configuration.coupling_map if configuration is not None else None) or ():
        if len(pair) == 2 and 0 <= min(pair) < max(pair) < size:
            found[min(pair), max(pair)] = None
    told = bool(found)
    for _, qubits, values in properties.bare.gates:
        if len(qubits) != 2 or not 0 <= min(qubits) < max(qubits) < size:
            continue
        pair = (min(qubits), max(qubits))
        if told and pair not in found:
            continue
        error, before = _probability(values.get("gate_error")), found.get(pair)
        works = bool(values.get("operational", True)) and error is not None and error < 1  # 1: not calibrated
        found[pair] = before if not works else error if before is None else min(error or 0.0, before)
    return found


def _lines(pairs: Mapping[Pair, float | None], drawn: Sequence[Place], faulty: set[int]) -> Iterable[Markup]:
    if len(pairs) > 3 * len(drawn):  # everything with everything: lines would only hide the qubits
        return
    scale = _Scale(pairs.values())
    for (a, b), error in pairs.items():
        (x1, y1), (x2, y2) = drawn[a], drawn[b]
        unusable = error is None or a in faulty or b in faulty
        words = f"qubits {a} and {b}: " + ("no error is told" if error is None else f"two-qubit error {error:.3g}")
        look: dict[str, Any] = {"stroke_dasharray": "3 3"} if unusable else {}
        yield element(
            "line",
            element("title", words),
            x1=f"{x1:.1f}",
            y1=f"{y1:.1f}",
            x2=f"{x2:.1f}",
            y2=f"{y2:.1f}",
            stroke="currentColor",
            stroke_opacity="0.6",
            stroke_width="1" if error is None else f"{1.5 + 4 * scale.of(error):.1f}",
            **look,
        )


def _qubit(number: int, at: Place, scale: _Scale, values: Mapping[str, float], faulty: bool) -> Markup:
    error = _probability(values.get("readout_error"))
    words = [f"qubit {number}: " + ("no readout error is told" if error is None else f"readout error {error:.3g}")]
    words += [f"{name} {values[name] * 1e6:.3g} µs" for name in ("T1", "T2") if _is_number(values.get(name))]
    if faulty:
        words.append("marked as faulty")
    shade = "none" if error is None or faulty else _SHADES[scale.step(error)]
    look: dict[str, Any] = {"stroke_dasharray": "3 2"} if faulty else {}
    x, y = f"{at[0]:.1f}", f"{at[1]:.1f}"
    ink = "currentColor" if shade == "none" else "#000"
    text = f"{number}" if not faulty else f"×{number}"
    size = "9" if len(text) < 3 else "8" if len(text) == 3 else "7"
    return element(
        "g",
        element("title", ", ".join(words)),
        element("circle", cx=x, cy=y, r=_RADIUS, fill=shade, stroke="currentColor", stroke_opacity="0.7", **look),
        element("text", text, x=x, y=y, fill=ink, font_size=size, text_anchor="middle", dominant_baseline="central"),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


class _Scale:
    """From the best (0) to the worst (1) of some errors, by their orders of magnitude."""

    def __init__(self, errors: Iterable[float | None]) -> None:
        known = sorted(math.log(max(error, 1e-9)) for error in errors if error is not None)
        self._low, self._high = (known[0], known[round(0.95 * (len(known) - 1))]) if known else (0.0, 0.0)

    def of(self, error: float) -> float:
        """Where it lies, in [0, 1]; the worst twentieth is as bad as can be."""
        if self._high <= self._low:
            return 0.0
        return min(max((math.log(max(error, 1e-9)) - self._low) / (self._high - self._low), 0.0), 1.0)

    def step(self, error: float) -> int:
        return min(int(self.of(error) * len(_SHADES)), len(_SHADES) - 1)


def _legend(errors: Sequence[float | None], pairs: Mapping[Pair, float | None], faulty: set[int]) -> Markup:
    boxes = joined(element("span", "■", style=f"color:{shade}") for shade in _SHADES)
    parts: list[object] = []
    known = sorted((error, qubit) for qubit, error in enumerate(errors) if error is not None and qubit not in faulty)
    if known:
        parts += [
            element("span", boxes, aria_hidden="true"),
            " readout error: ",
            _spread([(error, f"qubit {qubit}") for error, qubit in known]),
            ". ",
        ]
    told = sorted((error, pair) for pair, error in pairs.items() if error is not None)
    if told:
        spread = _spread([(error, f"qubits {a} and {b}") for error, (a, b) in told])
        parts += ["Two-qubit error, the thicker the line the larger: ", spread, ". "]
    if faulty:
        named = ", ".join(map(str, sorted(faulty)[:20])) + (" and more" if len(faulty) > 20 else "")
        parts.append(f"× Marked as faulty: {named}.")
    return paragraph(*parts)


def _spread(known: Sequence[tuple[float, str]]) -> Markup:
    """Best, median and worst of what is sorted from the best."""
    middle = median(error for error, _ in known)
    best, worst = known[0], known[-1]
    return escaped(
        f"{best[0]:.3g} ({best[1]}) at best, {middle:.3g} in the middle, {worst[0]:.3g} ({worst[1]}) at worst"
    )


# -- where it is drawn ------------------------------------------------------------------------------------------------


def _places(configuration: BackendConfiguration | None, size: int, pairs: Iterable[Pair]) -> Sequence[Place]:
    """Where each qubit is drawn; neighbours are about 1 apart."""
    told = configuration.coords if configuration is not None else None
    if told is not None and len(told) == size and all(len(at) == 2 and all(map(_is_number, at)) for at in told):
        places = [(float(x), float(y)) for x, y in told]
        if len(set(places)) == size and max(max(map(abs, at)) for at in places) <= 4 * _MOST_QUBITS:
            return places
    edges = list(pairs)
    if edges and len(edges) <= 3 * size:
        from qprovider_core._graph_layout import layout  # late: it needs numpy

        return layout(size, edges)
    across = math.ceil(math.sqrt(size) * 1.5)
    return [(float(qubit % across), float(qubit // across)) for qubit in range(size)]
