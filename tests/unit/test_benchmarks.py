"""How benches are run and what is told of them. No figure is checked against a time."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `benchmarks` is of this checkout, and no distribution

from benchmarks import _catalogue, _cli, _docs, _growth, _harness, _machine, _report, _run  # noqa: E402
from benchmarks._harness import Bench, DisagreementError, Line, Measure  # noqa: E402
from benchmarks._sizes import FULL, QUICK, SIZES, TINY  # noqa: E402


def bench_of(ours, other, rounds=4, **line):
    """A bench whose sides give these values one after another, and the order in which they were asked."""
    asked = []

    def side(name, values):
        left = iter(values)

        def run():
            asked.append(name)
            return (next(left),)

        return run

    sides = side("ours", ours), None if other is None else side("other", other)
    made = Bench("bench", "group", (Line("line", "us", "them", **line),), lambda stack: sides, rounds)
    return made, asked


def values(*numbers, **more):
    return [Measure(number, **more) for number in numbers]


# ------------------------------------------------------------------------------------------------------ measuring


def test_the_sides_run_in_turn_and_change_who_begins():
    bench, asked = bench_of(values(1, 2, 3, 4), values(1, 2, 3, 4))
    _harness.run(bench)
    assert asked == ["ours", "other", "other", "ours", "ours", "other", "other", "ours"]


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_the_medians():
    bench, _ = bench_of(values(1, 6, 3), values(1, 2, 12), rounds=3)
    (row,) = _harness.run(bench)
    assert row["ours"]["median"] == 3
    assert row["other"]["median"] == 2
    assert row["ratio"] == 1  # of 1, 3 and 1/4
    assert row["ratio_spread"] == (0.25, 3)


def test_rounds_that_warm_up_do_not_count():
    bench, asked = bench_of(values(99, 1), values(99, 2), rounds=1)
    (row,) = _harness.run(replace(bench, warm_up=1))
    assert asked == ["ours", "other"] * 2
    assert row["ours"]["values"] == [1]
    assert row["ratio"] == 0.5


def test_sides_that_answer_differently_are_no_comparison():
    bench, _ = bench_of(values(1, answer="three"), values(1, answer="four"), rounds=1)
    with pytest.raises(DisagreementError, match="ours says three, the other four"):
        _harness.run(bench)


def test_a_line_without_another_side_has_no_ratio():
    bench, _ = bench_of(values(1, 2, 3), None, rounds=3)
    (row,) = _harness.run(replace(bench, lines=(Line("line", "us", None),)))
    assert (row["ratio"], row["other"], row["ours"]["median"]) == (None, None, 2)
    assert "2.00 s" in _report.text_row(row)


def test_nothing_on_the_other_side_makes_no_ratio():
    bench, _ = bench_of(values(1), values(0), rounds=1)
    assert _harness.run(bench)[0]["ratio"] is None


@pytest.mark.parametrize(
    ("goal", "ours", "reached"),
    [
        ({}, 1.0, None),
        ({"ratio_at_most": 0.5}, 1.0, True),
        ({"ratio_at_most": 0.5}, 1.1, False),
        ({"below": 1.0}, 1.0, False),
        ({"below": 1.01}, 1.0, True),
    ],
)
def test_what_is_to_be_reached_is_told_beside_the_figure(goal, ours, reached):
    bench, _ = bench_of(values(ours), values(2.0), rounds=1, **goal)
    (row,) = _harness.run(bench)
    assert row["reached"] is reached
    assert ("NOT REACHED" in _report.text_row(row)) is (reached is False)


def test_the_spread_is_the_middle_half_of_many_and_all_of_few():
    assert _harness.spread([3, 1, 2]) == (1, 3)
    assert _harness.spread([float(n) for n in range(1, 10)]) == (3, 7)


# -------------------------------------------------------------------------------------------------------- reporting


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "MiB", "0 MiB"),
        (12.34567, "s", "12.3 s"),
        (0.99999, "s", "1.00 s"),
        (0.0741, "CPU s", "74.1 ms"),
        (0.000009994, "s", "9.99 µs"),
        (9.996, "MiB", "10.0 MiB"),
        (1234.5, "MiB", "1234 MiB"),
        (99.96, "s", "100 s"),
        (0.000123456, "MiB", "0.000123 MiB"),
    ],
)
def test_quantities_have_three_digits_and_their_unit(value, unit, shown):
    assert _report.quantity(value, unit) == shown


def rows_of_two_groups():
    first, _ = bench_of(values(1, requests=1), values(4, requests=100), rounds=1)
    second, _ = bench_of(values(1), values(2), rounds=1)
    return [
        *_harness.run(first),
        *_harness.run(replace(second, group="more")),
        *_harness.failed_rows(replace(second, group="more"), "it | broke"),
    ]


def test_a_table_for_documents_names_the_other_side_requests_and_what_failed():
    told = _report.document(rows_of_two_groups(), {"sizes": "full"}, _machine.facts())
    assert told["failed"] == ["line"]
    text = _report.markdown(told)
    assert "### group\n\n|  | ours | them | ratio | spread | requests |\n" in text
    assert "| line | 1.00 s | 4.00 s | 0.250 |  | 1 / 100 |" in text
    assert "| line | failed: it \\| broke |" in text
    for table in text.split("### ")[1:]:  # every row has as many cells as its head
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_figures_of_a_busy_machine_or_of_small_sizes_are_marked():
    machine = {**_machine.facts(), "cores": 2, "load_before": 1.5}
    text = _report.end_text(_report.document([], {"sizes": "quick"}, machine))
    assert "beside other work, times say little" in text
    assert "not for quoting" in text
    idle = _report.document([], {"sizes": "full"}, {**machine, "load_before": 0.2})
    assert "Other work" not in _report.end_text(idle)


def test_a_part_of_the_page_is_replaced_and_the_rest_stays(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- begin table -->\nold\n<!-- end table -->\nbelow\n")
    monkeypatch.setattr(_docs, "PAGE", page)
    _docs.put("table", "| new |\n")
    assert page.read_text() == "above\n<!-- begin table -->\n\n| new |\n\n<!-- end table -->\nbelow\n"
    with pytest.raises(LookupError, match="growth"):
        _docs.put("growth", "x")


def test_the_page_has_a_place_for_each_part():
    text = _docs.PAGE.read_text(encoding="utf-8")
    for part in ("table", "growth"):
        assert text.index(f"<!-- begin {part} -->") < text.index(f"<!-- end {part} -->")


# ---------------------------------------------------------------------------------------------------------- choosing


def test_names_of_benches_are_their_own_and_lines_too():
    for sizes in SIZES.values():
        names = [bench.name for bench in (*_catalogue.benches(sizes), *_growth.benches())]
        assert len(names) == len(set(names))
        lines = [(bench.group, line.name, line.other) for bench in _catalogue.benches(sizes) for line in bench.lines]
        assert len(lines) == len(set(lines))


def test_only_chooses_by_any_of_the_words(capsys):
    assert {bench.name for bench in _catalogue.benches(FULL, "VENDORS")} >= {"five-vendors", "twenty-vendors"}
    assert _cli.main(["--only", "no such line"]) == 2
    assert "--list" in capsys.readouterr().err
    assert _cli.main(["--only", "five", "--list"]) == 0
    assert capsys.readouterr().out.startswith("five-vendors: ")


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--rounds", "-1"], ["--sizes", "huge"], ["nothing"]])
def test_wrong_words_on_the_command_line_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        _cli.main(words)
    assert ended.value.code == 2


def test_listing_and_showing_import_neither_qiskit_nor_numpy():
    code = (
        "import sys; from benchmarks._cli import main; main(['--list']);"
        "print(sorted({'qiskit', 'numpy', 'matplotlib', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_there_is_no_run_to_show(tmp_path):
    with pytest.raises(SystemExit, match="run the benchmarks first"):
        _cli.main(["--show", "--json", str(tmp_path / "none.json")])


# ----------------------------------------------------------------------------------------------- a run in processes


def run(tmp_path, *words):
    path = tmp_path / "told.json"
    command = [sys.executable, "-m", "benchmarks", "--sizes", "tiny", "--json", str(path), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done, json.loads(path.read_text()) if path.exists() else None


def check_document(told):
    """What holds for every document: ratios and medians follow from the values that stand beside them."""
    assert told["schema"] == _report.SCHEMA
    assert told["machine"]["cores"] >= 1
    for row in told["lines"]:
        if row["status"] == "failed":
            assert row["reason"]
            continue
        for side in filter(None, (row["ours"], row["other"])):
            assert side["median"] == statistics.median(side["values"])
            assert len(side["values"]) == row["rounds"]
            assert all(value >= 0 for value in side["values"])
        if row["other"] and all(row["other"]["values"]):
            ratios = [a / b for a, b in zip(row["ours"]["values"], row["other"]["values"], strict=True)]
            assert row["ratio"] == pytest.approx(statistics.median(ratios))
            assert row["ratio_spread"][0] <= row["ratio"] <= row["ratio_spread"][1]
    return told


def test_a_run_prints_the_table_and_writes_the_document(tmp_path):
    done, told = run(tmp_path, "--only", "qprovider --version", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    (row,) = check_document(told)["lines"]
    assert row["bench"] == "start-version"
    assert row["rounds"] == 2
    head, group, line, *end = done.stdout.splitlines()
    assert head.split() == ["ours", "other", "ratio", "spread", "requests", "beside"]
    assert group == row["group"]
    assert line.startswith("  qprovider --version ")
    assert line.endswith("python -c pass")
    assert any(str(tmp_path) in words for words in end)
    again = [sys.executable, "-m", "benchmarks", "--show", "--json", str(tmp_path / "told.json")]
    shown = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.splitlines()[:3] == [head, group, line]


@pytest.mark.slow
def test_every_line_runs(tmp_path):
    done, told = run(tmp_path, "--inside")
    assert check_document(told)["failed"] == [], done.stdout
    assert done.returncode == 0
    assert len(told["lines"]) == sum(len(bench.lines) for bench in _catalogue.benches(TINY))
    shown = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(shown) >= len(told["lines"])
    for row in told["lines"]:
        assert any(line.strip().startswith(row["line"]) for line in shown)


@pytest.mark.slow
def test_first_calls_have_a_process_of_their_own(tmp_path):
    done, told = run(tmp_path, "--only", "result-counts-few")
    assert done.returncode == 0, done.stdout
    cpu, memory = check_document(told)["lines"]
    assert (cpu["unit"], memory["unit"]) == ("CPU s", "MiB")


def test_a_bench_that_fails_or_hangs_costs_its_own_lines_only(tmp_path, monkeypatch):
    (bench,) = _catalogue.benches(TINY, "start-version")
    unknown = replace(bench, name="no-such-bench")
    environment = _run.clean_environment(tmp_path)
    (failed,) = _run.in_own_process(unknown, TINY, None, environment)
    assert failed["status"] == "failed"
    assert "ValueError" in failed["reason"]
    (late,) = _run.in_own_process(bench, TINY, None, environment, longest_s=0.001)
    assert late["reason"] == "it was not done after 0.001 s"
    monkeypatch.setattr(_catalogue, "benches", lambda *_: [unknown, bench])
    path = tmp_path / "told.json"
    assert _cli.main(["--sizes", "tiny", "--json", str(path)]) == 1
    told = check_document(json.loads(path.read_text()))
    assert told["failed"] == ["qprovider --version"]
    assert [row["status"] for row in told["lines"]] == ["failed", "measured"]


def test_processes_of_benches_see_nobodys_accounts(tmp_path, monkeypatch):
    monkeypatch.setenv("QPROVIDER_IBM_TOKEN", "a-secret")
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "a-secret")
    environment = _run.clean_environment(tmp_path)
    assert "a-secret" not in environment.values()
    assert environment["HOME"] == str(tmp_path)
    assert environment["QPROVIDER_DATA_DIR"].startswith(str(tmp_path))


@pytest.mark.parametrize("sizes", [FULL, QUICK])
def test_every_bench_has_at_least_one_round_and_a_line(sizes):
    for bench in _catalogue.benches(sizes):
        assert bench.rounds >= 1
        assert bench.lines
