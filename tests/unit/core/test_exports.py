"""Tables of backends, jobs and calibrations: every form, the same columns."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from qprovider_core._exports import Table, Tabular
from qprovider_core._lists import BACKEND_COLUMNS, JOB_COLUMNS, BackendList, JobList
from qprovider_core.records import (
    BackendInfo,
    BackendProperties,
    GateCalibration,
    JobInfo,
    JobState,
    JobUsage,
    Measured,
    QubitCalibration,
    QueueInfo,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = [
    "=cmd()|' /C calc'!A0",
    'say "hi", he\nsaid\r\nso\t',
    "\x1b[2J\x07\x9b",
    "é日本😀",
    "",
    " x ",
    "null",
    "-",
    "1",
]
BACKENDS = BackendList(
    [
        BackendInfo(
            name="a",
            full_name="acme:a",
            provider="acme",
            account="work",
            num_qubits=127,
            operational=True,
            simulator=False,
            features=("x", "y"),
            clops=2500.5,
            calibrated_at=NOON,
        ),
        BackendInfo(name="b"),
    ]
)
JOBS = JobList(
    [
        SimpleNamespace(
            info=JobInfo(
                id="j1",
                state=JobState.DONE,
                tags=("a", "b"),
                shots=1024,
                created_at=NOON,
                queue=QueueInfo(position=3),
                usage=JobUsage(quantum_s=1.5),
            ),
            _account=SimpleNamespace(provider="acme", name="work"),
        ),
        SimpleNamespace(info=JobInfo(id="j2", state=JobState.QUEUED), provider="other", account="x", note="n", key="k"),
        JobInfo(id="j3", state=JobState.ERROR, error="no"),
    ]
)


def measured(**values):
    return {name: Measured(value, NOON) for name, value in values.items()}


CALIBRATION = BackendProperties(
    backend_name="a",
    qubits=[
        QubitCalibration(values=measured(T1=1e-4, T2=5e-5, readout_error=0.01, prob_meas0_prep1=0.02, operational=1)),
        QubitCalibration(values=measured(operational=0)),
        QubitCalibration(),
    ],
    gates=[
        GateCalibration(gate="sx", qubits=(0,), values=measured(gate_error=0.001, gate_length=3e-8)),
        GateCalibration(
            gate="cz", qubits=(0, 1), values={"gate_length": Measured(7e-8, NOON), "operational": Measured(0)}
        ),
        GateCalibration(gate="readout", qubits=(0,), values=measured(gate_error=0.5)),
        GateCalibration(gate="x", qubits=(1,)),
    ],
)
TABLES = [BACKENDS, JOBS, CALIBRATION, CALIBRATION.gate_table()]
EMPTY = [
    BackendList(),
    JobList(),
    BackendProperties(backend_name="a"),
    BackendProperties(backend_name="a").gate_table(),
]


def column(values, kind="text"):
    return Table({"value": kind}, [[value] for value in values])


# -- what is in the tables


def test_every_field_of_a_backend_is_a_column():
    assert set(BACKEND_COLUMNS) == {field.name for field in attrs.fields(BackendInfo)} - {"extra"}


def test_a_backend_is_a_row():
    first, second = BACKENDS.to_dicts()
    assert list(first) == list(BACKEND_COLUMNS)
    assert first["full_name"] == "acme:a"
    assert (first["num_qubits"], first["operational"], first["simulator"]) == (127, True, False)
    assert first["features"] == ["x", "y"]
    assert first["calibrated_at"] == NOON
    assert {name for name, value in second.items() if value is not None} == {"name", "full_name"}


def test_handles_give_the_rows_of_their_records():
    handles = BackendList([SimpleNamespace(info=info) for info in BACKENDS])
    assert handles.to_dicts() == BACKENDS.to_dicts()
    held = SimpleNamespace(info=BACKENDS[1], _account=SimpleNamespace(provider="acme", name="work"))
    assert BackendList([held]).to_dicts()[0]["account"] == "work"


def test_a_job_is_a_row_whether_a_handle_or_a_record():
    first, second, third = JOBS.to_dicts()
    assert list(first) == list(JOB_COLUMNS)
    assert (first["provider"], first["account"], first["note"], first["key"]) == ("acme", "work", None, None)
    assert (first["state"], first["tags"], first["shots"]) == ("done", ["a", "b"], 1024)
    assert (first["queue_position"], first["quantum_s"], first["created_at"]) == (3, 1.5, NOON)
    assert (second["provider"], second["account"], second["note"], second["key"]) == ("other", "x", "n", "k")
    assert second["tags"] == []
    assert (second["shots"], second["queue_position"], second["quantum_s"]) == (None, None, None)
    assert (third["provider"], third["error"]) == (None, "no")


def test_what_is_no_text_is_no_provider_and_no_key():
    info = JobInfo(id="j", state=JobState.DONE)
    row = JobList([SimpleNamespace(info=info, provider=lambda: "x", account=object(), note=7, key="")]).to_dicts()[0]
    assert {row[name] for name in ("provider", "account", "note", "key")} == {None}


def test_a_calibration_has_a_row_a_qubit():
    first, second, third = CALIBRATION.to_dicts()
    assert first["qubit"] == 0
    assert (first["t1_s"], first["t2_s"], first["readout_error"]) == (1e-4, 5e-5, 0.01)
    assert (first["prob_meas0_prep1"], first["prob_meas1_prep0"], first["sx_error"]) == (0.02, None, 0.001)
    assert (first["operational"], second["operational"], third["operational"]) == (True, False, None)
    assert "x_error" not in first
    assert [row["qubit"] for row in (first, second, third)] == [0, 1, 2]


def test_a_calibration_has_a_row_a_gate_and_place():
    sx, cz, _, x = CALIBRATION.gate_table().to_dicts()
    assert sx == {
        "gate": "sx", "qubits": [0], "error": 0.001, "length_s": 3e-8, "operational": None, "measured_at": NOON,
    }  # fmt: skip
    assert (cz["qubits"], cz["error"], cz["operational"], cz["measured_at"]) == ([0, 1], None, False, NOON)
    assert (x["error"], x["length_s"], x["measured_at"]) == (None, None, None)
    assert len(CALIBRATION.gate_table()) == 4


def test_a_table_shows_itself():
    table = CALIBRATION.gate_table()
    assert repr(table).splitlines()[3].split() == ["cz", "0,", "1", "–", "7e-08", "no", "2026-03-01", "12:00:00+00:00"]
    assert ">0, 1</td>" in table._repr_html_()
    assert repr(column([])) == "No rows of value."
    assert "\x1b" not in repr(column(["\x1b"])) + column(["\x1b"])._repr_html_()


def test_the_base_leaves_the_rows_to_its_subclasses():
    with pytest.raises(NotImplementedError):
        Tabular().to_dicts()


# -- values


def test_values_become_pythons_own():
    odd = [np.int64(3), np.float64(0.5), np.bool_(True), float("nan"), JobState.DONE, (1, (2,)), {"a": {1}}, 1j]
    given = [row["value"] for row in column(odd).to_dicts()]
    assert given == [3, 0.5, True, None, "done", [1, [2]], {"a": [1]}, "1j"]
    assert [type(value) for value in given[:3]] == [int, float, bool]


def test_times_are_in_utc_where_that_can_be_said():
    there = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    last = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    given = [row["value"] for row in column([there, NOON.replace(tzinfo=None), last], "time").to_dicts()]
    assert given == [NOON, NOON.replace(tzinfo=None), last]
    assert given[0].tzinfo is UTC


def test_a_text_that_no_encoding_can_hold_is_mended(tmp_path):
    table = column(["a\ud800b", "\ud83d\ude00"])
    assert [row["value"] for row in table.to_dicts()] == ["a\ufffdb", "\U0001f600"]
    assert "\ud800" not in table.to_csv(tmp_path / "t.csv").read_text("utf-8")
    assert "\ud800" not in table.to_json(tmp_path / "t.json").read_text("utf-8")
    assert table.to_polars()["value"][0] == table.to_pandas()["value"][0] == table.to_dicts()[0]["value"]


# -- CSV


def test_csv_has_a_head_lists_as_text_and_nothing_where_nothing_is_known():
    first, second = csv.DictReader(io.StringIO(BACKENDS.to_csv()))
    assert list(first) == list(BACKEND_COLUMNS)
    assert first["features"] == "x, y"
    assert (first["operational"], first["simulator"], first["num_qubits"]) == ("true", "false", "127")
    assert first["calibrated_at"] == "2026-03-01T12:00:00+00:00"
    assert second["num_qubits"] == second["features"] == second["calibrated_at"] == ""
    assert list(csv.DictReader(io.StringIO(CALIBRATION.gate_table().to_csv())))[1]["qubits"] == "0, 1"


def test_csv_tells_an_empty_text_from_an_unknown_one():
    assert Table({"a": "text", "b": "text"}, [["", None]]).to_csv() == 'a,b\n"",\n'
    assert Table({"a": "text", "b": "texts"}, [["x", [{"k": None}, None, True, 1.5]]]).to_csv() == (
        'a,b\nx,"{""k"": null}, , true, 1.5"\n'
    )


def test_hostile_texts_stay_in_their_cells():
    rows = list(csv.reader(io.StringIO(column(HOSTILE).to_csv(), newline="")))
    assert [cell for (cell,) in rows[1:]] == [
        text.replace("\x1b", "�").replace("\x07", "�").replace("\x9b", "�") for text in HOSTILE
    ]
    assert not {"\x1b", "\x07", "\x9b"} & set(column(HOSTILE).to_csv())


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from('\n\r\t",')), min_size=1))
def test_csv_loses_nothing_of_a_text(texts):
    rows = list(csv.reader(io.StringIO(column(texts).to_csv(), newline="")))
    assert [cell for (cell,) in rows[1:]] == texts


# -- JSON


def test_json_is_strict_and_comes_back():
    def refuse(word):
        raise AssertionError(word)

    rows = json.loads(BACKENDS.to_json(), parse_constant=refuse)
    for row, known in zip(rows, BACKENDS.to_dicts(), strict=True):
        when = row.pop("calibrated_at")
        assert (datetime.fromisoformat(when) if when else None) == known.pop("calibrated_at")
        assert row == known
        assert list(row) == list(known)
    numbers = column([float("nan"), float("inf"), -float("inf"), 0.1, [float("inf")], {"a": NOON}], "number")
    assert [row["value"] for row in json.loads(numbers.to_json(), parse_constant=refuse)] == [
        None, None, None, 0.1, [None], {"a": NOON.isoformat()},
    ]  # fmt: skip


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]))))
def test_json_loses_nothing_of_a_text(texts):
    told = column(texts).to_json()
    assert [row["value"] for row in json.loads(told)] == texts
    assert all(line.isprintable() for line in told.split("\n"))


@pytest.mark.parametrize("table", TABLES)
def test_the_forms_agree(table):
    rows = table.to_dicts()
    assert len(rows) > 1
    assert table.to_polars().to_dicts() == rows
    known = table.to_pandas().astype(object)
    told = [{n: v if isinstance(v, list) or not pd.isna(v) else None for n, v in row.items()}
            for row in known.to_dict("records")]  # fmt: skip
    assert told == rows
    assert [list(row) for row in json.loads(table.to_json())] == [list(row) for row in rows]
    assert next(csv.reader(io.StringIO(table.to_csv()))) == list(rows[0])


# -- frames


@pytest.mark.parametrize("table", EMPTY)
def test_an_empty_table_has_its_columns_and_their_types(table):
    columns = list(table._table().columns)
    assert table.to_dicts() == []
    assert table.to_csv() == ",".join(columns) + "\n"
    assert table.to_json() == "[]"
    assert list(table.to_pandas().columns) == table.to_polars().columns == columns
    assert len(table.to_pandas()) == len(table.to_polars()) == 0


@pytest.mark.parametrize("jobs", [JOBS, JobList(), JobList([JobInfo(id="j", state=JobState.DONE)])])
def test_the_types_do_not_depend_on_what_is_known(jobs):
    known = jobs.to_pandas().dtypes
    assert known["shots"] == pd.Int64Dtype()
    assert known["quantum_s"] == pd.Float64Dtype()
    assert known["id"] == known["note"] == pd.StringDtype()
    assert known["tags"] == np.dtype(object)
    assert known["created_at"] == known["ended_at"] == pd.DatetimeTZDtype("us", "UTC")
    assert BackendList(BACKENDS[1:]).to_pandas().dtypes["operational"] == pd.BooleanDtype()
    schema = jobs.to_polars().schema
    assert schema["shots"] == pl.Int64
    assert schema["quantum_s"] == pl.Float64
    assert schema["note"] == pl.String
    assert schema["tags"] == pl.List(pl.String)
    assert schema["created_at"] == schema["ended_at"] == pl.Datetime("us", "UTC")
    assert BackendList(BACKENDS[1:]).to_polars().schema["operational"] == pl.Boolean
    assert CALIBRATION.gate_table().to_polars().schema["qubits"] == pl.List(pl.Int64)


def test_integers_stay_integers_and_unknown_is_na():
    frame = JOBS.to_pandas()
    assert frame["shots"][0] == 1024
    assert frame["shots"][1] is pd.NA
    assert frame["note"][0] is pd.NA
    assert frame["ended_at"][0] is pd.NaT
    assert frame["created_at"][0] == pd.Timestamp(NOON)
    assert frame["shots"].sum() == 1024


def test_the_first_and_the_last_year_have_their_place():
    times = [datetime(1, 1, 1, tzinfo=UTC), None, datetime.max.replace(tzinfo=UTC)]
    table = column(times, "time")
    assert table.to_polars()["value"].to_list() == times
    assert [None if pd.isna(t) else t.to_pydatetime() for t in table.to_pandas()["value"]] == times


@pytest.mark.parametrize("form", ["to_pandas", "to_polars"])
@pytest.mark.parametrize(
    ("kind", "good", "odd"),
    [
        ("text", "a", 5),
        ("integer", 1, "1"),
        ("integer", 1, True),
        ("integer", -(2**63), 2**63),
        ("integer", 2, 1.5),
        ("number", 1.5, "x"),
        ("number", 2, 10**400),
        ("number", float("inf"), True),
        ("flag", False, 1),
        ("time", NOON, "2026-03-01"),
        ("time", NOON, NOON.replace(tzinfo=None)),
        ("texts", ["a"], ["a", 1]),
        ("texts", [], "a"),
        ("integers", [1], [1, "2"]),
        ("integers", [], 3),
    ],
)
def test_a_value_of_another_kind_is_left_out_of_a_frame_with_a_warning(form, kind, good, odd):
    table = column([good, odd, None], kind)
    with pytest.warns(RuntimeWarning, match=r"1 of 3 values of value are left out, such as .*to_dicts"):
        frame = getattr(table, form)()
    if form == "to_polars":
        assert frame["value"].to_list() == [good, None, None]
    else:
        assert frame["value"][0] == good
        assert list(frame["value"].isna()) == [False, True, True]
    assert table.to_dicts()[1]["value"] == odd


def test_many_rows():
    many = JobList(
        [JobInfo(id=f"j{i}", state=JobState.DONE, shots=i, tags=("t",), created_at=NOON) for i in range(20_000)]
    )
    frame = many.to_polars()
    assert frame["shots"].sum() == sum(range(20_000))
    assert len(json.loads(many.to_json())) == len(many.to_pandas()) == 20_000
    assert many.to_csv().count("\n") == 20_001
    assert_frame_equal(many.to_pandas()[["shots"]], pd.DataFrame({"shots": pd.array(range(20_000), dtype="Int64")}))
