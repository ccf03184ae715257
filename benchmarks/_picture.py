"""The growth curves as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Okabe and Ito's colours, which people with the common kinds of colour blindness tell apart; each has a mark, too.
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
_STEPS = {
    "listed as handles": (_BLUE, "o", "list, as handles"),
    "filtered by three criteria": (_GREEN, "s", "filter by three criteria"),
    "least busy of the same criteria": (_ORANGE, "^", "least busy of those"),
}
_SOLID: dict[str, Any] = {"markersize": 5, "linewidth": 1.8}
_DASHED: dict[str, Any] = {
    "marker": "o", "markersize": 4, "markerfacecolor": "white", "linewidth": 1, "linestyle": (0, (4, 2)),
}  # fmt: skip
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and it can be searched
    "svg.hashsalt": "growth",  # the same numbers make the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}


def draw(points: dict[str, Any], path: Path) -> None:
    """Draw both panels; the ending of `path` says in what format."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10.5, 4.4), width_ratios=(1.35, 1), layout="constrained", facecolor="white"
        )
        _backends(left, points["backends"])
        (vendors,) = points["vendors"].values()
        _vendors(right, vendors)
        meta = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
        figure.savefig(path, facecolor="white", metadata=meta, dpi=110)
        plt.close(figure)


def _backends(axes: Any, steps: dict[str, list[dict[str, Any]]]) -> None:
    for name, (color, mark, label) in _STEPS.items():
        numbers = [point["number"] for point in steps[name]]
        ours = [1e3 * point["ours"] for point in steps[name]]
        other = [1e3 * point["other"] for point in steps[name]]
        axes.plot(numbers, ours, color=color, marker=mark, **_SOLID, label=label)
        axes.plot(numbers, other, color=color, **{**_DASHED, "marker": mark})
    listed = steps["listed as handles"]
    last, top = listed[-1]["number"], 1e3 * listed[-1]["ours"] * 2.2
    axes.plot([last / 100, last], [top / 100, top], color=_GREY, linewidth=1, linestyle=":", label="linear growth")
    axes.plot([], [], color="black", **_DASHED, label="dashed: the same by hand")
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("backends of one vendor")
    axes.set_ylabel("time beyond the vendor's own (ms)")
    axes.set_title("One vendor, many backends", loc="left", fontsize=11)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _vendors(axes: Any, points: list[dict[str, Any]]) -> None:
    numbers = [point["number"] for point in points]
    other, ours = ([point[side] for point in points] for side in ("other", "ours"))
    axes.plot(numbers, other, color=_BLUE, **_DASHED, label="one after another, by hand")
    axes.plot(numbers, ours, color=_BLUE, marker="o", **_SOLID, label="qprovider")
    axes.set_xlim(0, max(numbers) + 1)
    axes.set_xticks([1, *range(5, max(numbers) + 1, 5)])
    axes.set_ylim(0, None)
    axes.set_xlabel("vendors that take 50 ms each")
    axes.set_ylabel("time of one query of all (s)")
    axes.set_title("Many vendors at once", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
