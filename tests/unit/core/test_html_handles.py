"""Handles and results in notebooks: what is known of them, and nobody is asked for it."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest

from qprovider_core._graph_layout import layout
from qprovider_core._html_job import job_html
from qprovider_core._html_qubits import qubit_map
from qprovider_core._result import LazyResult
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    GateCalibration,
    JobInfo,
    JobResult,
    JobState,
    JobUsage,
    Measured,
    QubitCalibration,
    QueueInfo,
    RegisterBits,
    SamplePubResult,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "\"><img src=x onerror='alert(1)'>\x1b[2J\u202e"


def tree(item: Any) -> ElementTree.Element:
    """What a notebook shows of it; it is well-formed as XML, too."""
    html = item if isinstance(item, str) else item._repr_html_()
    assert isinstance(html, str), item
    return ElementTree.fromstring(f"<div>{html}</div>")


def text(item: Any) -> str:
    return "".join(tree(item).itertext())


# -- backends ---------------------------------------------------------------------------------------------------------


def test_showing_a_backend_asks_nobody(account: Any) -> None:
    def never() -> Any:
        raise AssertionError("asked")

    told = BackendInfo(
        name="line", num_qubits=5, simulator=False, operational=True, status_msg="up", pending_jobs=7, wait_s=259.0
    )
    hooks = dict.fromkeys(("backend_configuration", "backend_properties", "backend_status"), never)
    (backend,) = account("acme", [told], **hooks).backends()
    shown = text(backend)
    for word in ("acme:line", "device", "● up", "7", "4 min 19 s", "backend.properties()"):
        assert word in shown
    assert repr(backend) == "<Backend acme:line, 5 qubits>"


def test_a_backend_whose_calibration_was_fetched_draws_its_qubits(device: Any) -> None:
    backend = device(info={"simulator": False})
    assert tree(backend).find(".//svg") is None
    backend.configuration()
    backend.properties()
    page = tree(backend)
    assert len(page.findall(".//svg//circle")) == 5
    assert len(page.findall(".//svg/line")) == 4
    assert "Marked as faulty: 4." in "".join(page.itertext())
    assert "rz, sx, x, cx" in "".join(page.itertext())
    backend.refresh()
    assert tree(backend).find(".//svg") is None


def test_vendors_words_on_a_backend_are_not_interpreted(device: Any) -> None:
    backend = device(configuration={"basis_gates": (HOSTILE,)})
    backend.info = attrs.evolve(backend.info, full_name=HOSTILE, status_msg=HOSTILE, description=HOSTILE)
    backend.configuration()
    page = tree(backend)
    assert page.find(".//img") is None
    assert "onerror='alert(1)'" in "".join(page.itertext())


def calibration(errors: list[float | None], pairs: dict[tuple[int, int], float], faulty: int = -1) -> BackendProperties:
    qubits = []
    for number, error in enumerate(errors):
        values = {} if error is None else {"readout_error": Measured(error), "T1": Measured(1.5e-4)}
        qubits.append(QubitCalibration(values=values | ({"operational": Measured(0)} if number == faulty else {})))
    gates = [
        GateCalibration(gate="cz", qubits=pair, values={"gate_error": Measured(error)}) for pair, error in pairs.items()
    ]
    return BackendProperties(backend_name=HOSTILE, qubits=qubits, gates=gates)


def test_each_qubit_and_each_line_tells_its_figures() -> None:
    drawn = tree(qubit_map(None, calibration([0.01, 0.02, None, 0.5], {(0, 1): 0.003, (2, 1): 1.0}, faulty=3)))
    titles = [title.text for title in drawn.findall(".//g/title") + drawn.findall(".//line/title")]
    assert titles == [
        "qubit 0: readout error 0.01, T1 150 µs",
        "qubit 1: readout error 0.02, T1 150 µs",
        "qubit 2: no readout error is told",
        "qubit 3: readout error 0.5, T1 150 µs, marked as faulty",
        "qubits 0 and 1: two-qubit error 0.003",
        "qubits 1 and 2: no error is told",
    ]
    fills = [circle.get("fill") for circle in drawn.findall(".//circle")]
    assert fills[0] != fills[1]
    assert fills[2] == fills[3] == "none"
    legend = "".join(drawn.itertext())
    assert "0.01 (qubit 0) at best, 0.015 in the middle, 0.02 (qubit 1) at worst" in legend
    svg = drawn.find("svg")
    assert svg is not None
    assert svg.get("role") == "img"
    assert svg.get("aria-label")


def centres(drawn: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(c.get("cx") or "nan"), float(c.get("cy") or "nan")) for c in drawn.findall(".//circle")]


def test_qubits_stand_where_the_vendor_draws_them() -> None:
    coords = ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0))
    configuration = BackendConfiguration(backend_name="a", n_qubits=3, coords=coords, coupling_map=((0, 1), (0, 2)))
    a, b, c = centres(tree(qubit_map(configuration, calibration([0.1, 0.2, 0.3], {}))))
    assert a[1] == b[1]
    assert a[0] == c[0]
    assert b[0] > a[0]
    assert c[1] > a[1]


@pytest.mark.parametrize(
    "coords",
    [
        None,
        ((0.0, 0.0),),
        ((0.0, 0.0), (0.0, 0.0), (1.0, 1.0)),
        ((math.nan, 0.0), (1.0, 0.0), (2.0, 0.0)),
        ((1e300, 0.0), (1.0, 0.0), (2.0, 0.0)),
        (("a", "b"), (1.0, 0.0), (2.0, 0.0)),
        ((1.0,), (1.0,), (2.0,)),
    ],
)
def test_without_usable_coordinates_they_are_laid_out(coords: Any) -> None:
    configuration = BackendConfiguration(backend_name="a", n_qubits=3, coords=coords, coupling_map=((0, 1), (1, 2)))
    places = centres(tree(qubit_map(configuration, calibration([0.1, 0.2, 0.3], {}))))
    assert len(set(places)) == 3
    assert all(0 < value < 200 for place in places for value in place)


def test_what_is_connected_to_everything_and_what_is_too_large() -> None:
    everything = tuple((a, b) for a in range(11) for b in range(11) if a != b)
    ions = BackendConfiguration(backend_name="a", n_qubits=11, coupling_map=everything)
    drawn = tree(qubit_map(ions, calibration([0.1] * 11, {})))
    assert len(set(centres(drawn))) == 11
    assert drawn.findall(".//line") == []
    large = tree(qubit_map(None, calibration([0.1] * 1121, {})))
    assert large.find("svg") is None
    assert "1,121 qubits is too large" in "".join(large.itertext())
    assert qubit_map(None, calibration([], {})) == ""


def test_values_that_are_none_do_not_break_the_drawing() -> None:
    odd = calibration([math.nan, math.inf, -1.0, 2.0, 0.0], {(0, 1): math.nan, (0, 99): 0.1, (1, 1): 0.1, (1, 2): 5.0})
    drawn = tree(qubit_map(BackendConfiguration(backend_name="a", coupling_map=((0, 7), (-1, 2))), odd))
    assert len(drawn.findall(".//circle")) == 5


@pytest.mark.parametrize(
    ("size", "edges"),
    [
        (1, []),
        (2, [(0, 1)]),
        (5, [(0, 1), (1, 2), (1, 3), (3, 4)]),
        (6, [(0, q) for q in range(1, 6)]),
        (12, [(q, (q + 1) % 12) for q in range(12)]),
        (6, [(0, 1), (1, 2), (3, 4), (4, 5)]),
        (127, [(q, q + 1) for q in range(126)]),
    ],
)
def test_a_layout_keeps_nodes_apart_and_neighbours_near(size: int, edges: list[tuple[int, int]]) -> None:
    places = layout(size, edges)
    assert places == layout(size, edges)
    assert len(places) == size
    apart = [math.dist(places[a], places[b]) for a in range(size) for b in range(a)]
    assert all(distance > 0.4 for distance in apart)
    assert all(0.5 < math.dist(places[a], places[b]) < 2 for a, b in edges)


def test_a_line_is_drawn_as_a_line() -> None:
    places = layout(9, [(q, q + 1) for q in range(8)])
    assert math.dist(places[0], places[8]) == pytest.approx(8, rel=0.02)


# -- jobs -------------------------------------------------------------------------------------------------------------


def shown_job(**fields: Any) -> str:
    """A job of which only that is known."""
    info = JobInfo(**{"id": "j1", "state": JobState.QUEUED, **fields})
    account = SimpleNamespace(provider="acme", label="work/acme")
    html = job_html(SimpleNamespace(info=info, _request=None, _handle=None, _account=account, _result=None))  # type: ignore[arg-type]
    assert html is not None
    return html


def test_a_job_tells_how_long_it_waited_and_ran() -> None:
    times = {"created_at": NOON, "started_at": NOON + timedelta(seconds=90), "ended_at": NOON + timedelta(seconds=100)}
    page = tree(shown_job(state=JobState.DONE, backend="x", usage=JobUsage(quantum_s=2.0), shots=7, **times))
    words = "".join(page.itertext())
    for word in ("✓ done", "acme:x", "work/acme", "waited 1 min 30 s", "ran 10 s", "2026-03-01 12:01:30 UTC", "2 s"):
        assert word in words
    widths = [part.get("style") for part in page.findall(".//div[@aria-hidden]/div")]
    assert [style.partition(";")[0] for style in widths if style] == ["width:90.0%", "width:10.0%"]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({}, None),
        ({"created_at": NOON}, None),
        ({"created_at": NOON, "started_at": NOON}, "waited 0 s"),
        ({"started_at": NOON, "ended_at": NOON + timedelta(seconds=1)}, "ran 1 s"),
        ({"created_at": NOON, "started_at": NOON - timedelta(seconds=1)}, None),
    ],
)
def test_a_timeline_says_no_more_than_is_known(times: dict[str, datetime], words: str | None) -> None:
    shown = text(shown_job(**times))
    assert ("waited" in shown or "ran" in shown) == (words is not None)
    assert words is None or words in shown


def test_a_failed_job_says_why_and_what_to_do() -> None:
    shown = text(shown_job(state=JobState.ERROR, error="Too hot.\nReally.", error_code="1517", error_hint="Cool it."))
    for word in ("✗ error", "Why it failed (code 1517):", "Too hot.", "Really.", "What to do: Cool it."):
        assert word in shown


def test_a_waiting_job_tells_its_place() -> None:
    shown = text(shown_job(queue=QueueInfo(position=3, estimated_start=NOON)))
    for word in ("queued", "place in the queue", "3", "estimated start", "status()"):
        assert word in shown


def test_vendors_words_on_a_job_are_not_interpreted() -> None:
    fields = dict.fromkeys(
        ("id", "state_text", "backend", "name", "error", "error_code", "error_hint", "session_id"), HOSTILE
    )
    for state in JobState:
        page = tree(shown_job(**fields, state=state, tags=(HOSTILE,)))
        assert page.find(".//img") is None
        assert "\x1b" not in "".join(page.itertext())


def test_showing_a_job_asks_nobody(service: Any, bell: Any) -> None:
    vendor = service(list_jobs=None)
    job = vendor.backend.run(bell, job_tags=["lab"], shots=8)
    looks = len(vendor.looks)
    before = text(job)
    assert "lab" in before
    assert "8" in before
    assert len(vendor.looks) == looks
    job.result()
    assert "outcome" in text(job)
    assert len(tree(job).findall(".//table")) == 2


@pytest.fixture
def bell() -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1, name="bell")
    circuit.measure(0, 0)
    return circuit


# -- results ----------------------------------------------------------------------------------------------------------


def result_of(*pubs: SamplePubResult) -> LazyResult:
    return LazyResult(JobResult(pubs=pubs), backend_name="dev", backend_version=None, job_id="j1")


def rows(result: Any) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row][:3] for row in tree(result).findall(".//tbody/tr")]


def test_a_result_shows_the_most_frequent_outcomes_first() -> None:
    result = result_of(SamplePubResult.from_counts({"00": 1, "10": 600, "01": 399, "11": 0}))
    assert rows(result) == [["10", "600", "60.0 %"], ["01", "399", "39.9 %"], ["00", "1", "0.1 %"]]
    bars = [bar.get("style") for bar in tree(result).findall(".//td/div/div")]
    assert [style.partition(";")[0] for style in bars if style] == ["width:100.0%", "width:66.5%", "width:0.2%"]
    assert "Result of job j1 on dev" in text(result)
    assert "1,000 shots" in text(result)


def test_bits_and_counts_are_shown_alike() -> None:
    data = bytes([0b10] * 5 + [0b01] * 5 + [0b11] * 2)
    bits = SamplePubResult(shots=12, registers=[RegisterBits(name="c", num_bits=2, data=data)])
    assert rows(result_of(bits)) == [["01", "5", "41.7 %"], ["10", "5", "41.7 %"], ["11", "2", "16.7 %"]]
    counts = SamplePubResult.from_counts({"11": 2, "10": 5, "01": 5})
    assert rows(result_of(counts)) == rows(result_of(bits))


def test_outcomes_that_are_not_shown_are_counted() -> None:
    counts = {f"{number:06b}": 64 - number for number in range(64)}
    shown = rows(result_of(SamplePubResult.from_counts(counts)))
    assert len(shown) == 17
    assert shown[0][:2] == ["000000", "64"]
    assert shown[16][:2] == ["48 other outcomes", f"{sum(range(1, 49)):,}"]
    data = bytes(number for number in range(64) for _ in range(64 - number))
    bits = SamplePubResult(shots=len(data), registers=[RegisterBits(name="c", num_bits=6, data=data)])
    assert rows(result_of(bits)) == shown


def test_many_circuits_are_counted_and_empty_results_are_no_error() -> None:
    page = tree(result_of(*[SamplePubResult.from_counts({"0": 1})] * 50))
    assert "… and 30 more circuits" in "".join(page.itertext())
    assert len(page.findall(".//details")) == 17
    assert "no circuits" in text(result_of())
    empty = SamplePubResult(shots=0, counts={})
    none = SamplePubResult(shots=3, registers=[RegisterBits(name="c", num_bits=0, data=b"")])
    assert "No outcomes." in text(result_of(empty, none))


def test_counts_that_somebody_changed_are_those_that_are_shown() -> None:
    result = result_of(SamplePubResult.from_counts({"0": 1, "1": 3}))
    result.results[0].data.counts = {"0x0": 7}
    assert rows(result) == [["0", "7", "100.0 %"]]


def test_the_plain_forms_stay() -> None:
    result = result_of(SamplePubResult.from_counts({"0": 1}))
    assert repr(result) == "<Result of job j1 on dev: 1 experiment(s) of 1 shots>"
    assert pickle.loads(pickle.dumps(result.record)) == result.record
