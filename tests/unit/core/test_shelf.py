"""What is remembered on disk: what the files are, what becomes of damaged ones, and that no secret is in them."""

import gzip
import json
import logging
import os
import re
import resource
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import _shelf, fleet
from qprovider_core._cache import Told
from qprovider_core._shelf import Shelf
from qprovider_core.errors import TransportError
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    ListProblem,
    Measured,
    QubitCalibration,
    TokenCredentials,
)
from qprovider_core.secret import Secret

ONE = BackendRef(name="one")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path, isolated, monkeypatch) -> Path:
    """Answers are remembered below this directory."""
    monkeypatch.setenv("QPROVIDER_CACHE", "disk")
    monkeypatch.setenv("QPROVIDER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def acme(asked, place, monkeypatch):
    made = asked()
    monkeypatch.setenv("QPROVIDER_CACHE", "disk")
    monkeypatch.setenv("QPROVIDER_CACHE_DIR", str(place))
    return made


@pytest.fixture
def another_process(monkeypatch) -> Callable[[], None]:
    """Forget what this process remembers, as a new one would not know it."""
    return lambda: monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())


def files(place: Path) -> dict[str, Path]:
    return {path.name.split("-")[0].split(".")[0]: path for path in place.glob("*/*")}


def document(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def change(path: Path, **changed: Any) -> None:
    path.write_bytes(gzip.compress(json.dumps({**document(path), **changed}).encode()))


def warnings(caplog: Any) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- what is on disk --------------------------------------------------------------------------------------------------


def test_the_next_process_asks_nobody_and_opens_no_account(acme, another_process):
    acme.version = "1"
    first = qp.list_backends(basis_gates="cx")
    asked = acme.since()
    assert "list" in asked
    another_process()
    acme.trouble = AssertionError("nobody is to be asked")
    again = qp.list_backends(basis_gates="cx")
    assert again.errors == []
    assert acme.since() == []
    assert list(again) == list(first)
    assert again.as_of == first.as_of
    assert 0 < again.ages_s["acme"] < 60
    assert fleet.fleet().party("acme").accounts[0]._opening is None


def test_every_field_of_the_records_comes_back(tmp_path):
    info = BackendInfo(
        name="öne/…", instance="crn:1", instance_name="main", num_qubits=5, simulator=False, noisy=True,
        operational=True, pending_jobs=3, status_msg="all well", version="1.2", description="a device",
        processor="Heron", features=("a", "b"), max_shots=10, max_circuits=20, median_two_qubit_error=0.01,
        median_readout_error=0.02, clops=1e4, wait_s=0.5, calibrated_at=NOON, process_bound=True,
    )  # fmt: skip
    configuration = BackendConfiguration(
        backend_name="one", backend_version="1", n_qubits=2, basis_gates=("cx",), coupling_map=((0, 1),)
    )
    calibration = BackendProperties(
        backend_name="one",
        last_update=NOON,
        qubits=[QubitCalibration(values={"T1": Measured(1e-4, measured_at=NOON)})],
    )
    Shelf(tmp_path / "a").keep_listing(Told((info, BackendInfo(name="bare"))))
    Shelf(tmp_path / "a").keep_facet("configuration", ONE, Told(configuration))
    Shelf(tmp_path / "a").keep_facet("properties", ONE, Told(calibration))
    Shelf(tmp_path / "a").keep_facet("properties", BackendRef(name="two"), Told(None))
    shelf = Shelf(tmp_path / "a")
    listing = shelf.listing()
    assert listing is not None
    assert listing.value == (info, BackendInfo(name="bare"))
    known = {facet: shelf.facet(facet, ONE) for facet in ("configuration", "properties")}
    assert known["configuration"].value == configuration
    assert known["properties"].value == calibration
    without = shelf.facet("properties", BackendRef(name="two"))
    assert without is not None
    assert without.value is None
    assert shelf.facet("configuration", BackendRef(name="one", instance="crn:1")) is None


def test_names_that_are_no_names_of_files_are_kept_apart(tmp_path):
    shelf = Shelf(tmp_path / "a")
    names = ["../../etc/passwd", "a/b", "a_b", "a:b", "x" * 300, "x" * 301, "\udc80", "ö"]
    for name in names:
        told = BackendConfiguration(backend_name=name, n_qubits=len(name))
        shelf.keep_facet("configuration", BackendRef(name=name), Told(told))
    assert {path.parent for path in tmp_path.rglob("*.gz")} == {tmp_path / "a"}
    for name in names:
        kept = shelf.facet("configuration", BackendRef(name=name))
        assert kept is not None
        assert kept.value.backend_name == name


def test_two_backends_whose_files_are_called_alike_do_not_answer_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(_shelf, "_name", lambda facet, ref: facet)
    shelf = Shelf(tmp_path / "a")
    shelf.keep_facet("configuration", ONE, Told(BackendConfiguration(backend_name="one")))
    assert shelf.facet("configuration", ONE) is not None
    assert shelf.facet("configuration", BackendRef(name="two")) is None


def test_files_are_the_users_alone(acme, place):
    old = os.umask(0)
    try:
        qp.list_backends(basis_gates="cx")
        fleet.fleet().party("acme").accounts[0].facts.queue_moved()
    finally:
        os.umask(old)
    modes = {path.relative_to(place).suffix: stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*.gz")}
    assert modes == {".gz": 0o600}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert [stat.S_IMODE(one.stat().st_mode) for one in place.iterdir()] == [0o700]
    assert stat.S_IMODE(files(place)["changed"].stat().st_mode) == 0o600
    assert sorted(files(place)) == ["changed", "configuration", "list"]
    assert not list(place.rglob("*.tmp"))


def test_a_list_that_is_not_whole_is_not_kept(acme, place):
    acme.listed.append(ListProblem(reason="one place did not answer"))
    qp.list_backends()
    assert files(place) == {}


def test_what_is_no_json_is_not_kept_and_costs_nothing(acme, place):
    @attrs.frozen(kw_only=True)
    class Own(BackendInfo):
        more: Any = None

    acme.listed = [Own(name="one", num_qubits=5, more=object())]
    assert qp.list_backends().names() == ["acme:one"]
    acme.listed = [BackendInfo(name="one", median_readout_error=float("nan"))]
    qp.list_backends(refresh=True)
    assert files(place) == {}


def test_use_cache_takes_a_directory(asked, tmp_path, another_process):
    acme = asked()
    qp.use_cache(tmp_path / "mine")
    try:
        qp.list_backends()
        another_process()
        qp.list_backends()
    finally:
        qp.use_cache(None)
    assert acme.since() == ["list"]
    assert sorted(files(tmp_path / "mine")) == ["list"]


def test_memory_and_off_write_nothing(acme, place, monkeypatch):
    for mode in ("memory", "off"):
        monkeypatch.setenv("QPROVIDER_CACHE", mode)
        qp.list_backends(refresh=True, basis_gates="cx")
    assert not place.exists()


def test_what_was_told_long_ago_is_swept_and_files_are_bounded(acme, place, monkeypatch):
    qp.list_backends(basis_gates="cx")
    old = next(place.glob("*/configuration-one*"))
    month = time.time() - 31 * 24 * 3600
    os.utime(old, (month, month))
    shelf = Shelf(old.parent)
    monkeypatch.setattr(_shelf, "_MOST_FILES", 3)
    for number in range(5):
        shelf.keep_facet("configuration", BackendRef(name=f"b{number}"), Told(BackendConfiguration(backend_name="b")))
    assert not old.exists()
    assert sorted(path.name.rpartition("-")[0] for path in old.parent.glob("configuration*")) == [
        "configuration-b0",
        "configuration-two",
    ]
    for _ in range(5):  # what is there already may be replaced for ever
        shelf.keep_listing(Told((BackendInfo(name="newest"),)))
    assert shelf.listing().value == (BackendInfo(name="newest"),)


# -- how long ---------------------------------------------------------------------------------------------------------


def test_ages_go_on_from_one_process_to_the_next(acme, place, another_process):
    qp.list_backends(basis_gates="cx")
    acme.since()
    path = files(place)["list"]
    change(path, at=(datetime.now(UTC) - timedelta(seconds=10)).isoformat())
    another_process()
    listed = qp.list_backends()
    assert 10 <= listed.ages_s["acme"] < 15
    assert acme.since() == []
    change(path, at=(datetime.now(UTC) - timedelta(seconds=16)).isoformat())
    another_process()
    qp.list_backends()
    assert acme.since() == ["list"]


def test_a_configuration_on_disk_is_held_against_the_version_that_is_told(acme, another_process):
    acme.version = "1"
    acme.listed = [BackendInfo(name="one", version="1")]
    qp.list_backends(basis_gates="cx")
    acme.listed = [BackendInfo(name="one", version="2")]
    acme.since()
    another_process()
    qp.list_backends(basis_gates="cx", refresh=False)
    assert acme.since() == []
    another_process()
    qp.list_backends(refresh=True)
    acme.since()
    qp.list_backends(basis_gates="cx")
    assert acme.since() == ["configuration of one"]


def test_a_vendor_that_is_down_is_stood_in_for_from_disk(acme, place, another_process):
    qp.list_backends(basis_gates="cx")
    change(files(place)["list"], at=(datetime.now(UTC) - timedelta(hours=3)).isoformat())
    another_process()
    acme.trouble = TransportError("down")
    assert qp.list_backends() == []
    listed = qp.list_backends(basis_gates="cx", stale=True)
    assert listed.names() == ["acme:one", "acme:two"]
    assert listed.notes == ["acme: does not answer; this is what it told 3 h ago"]
    assert [error.reason for error in listed.errors] == ["down"]
    assert listed.remembered == {"info": 1, "configuration": 2}


def test_a_queue_that_another_process_moved_ends_the_list(acme, another_process):
    qp.list_backends(basis_gates="cx")
    here = fleet.fleet()
    another_process()
    fleet.fleet().party("acme").accounts[0].facts.queue_moved()
    another_process()
    acme.since()
    qp.list_backends(basis_gates="cx")
    assert acme.since() == ["list"]
    qp.list_backends(basis_gates="cx")
    assert acme.since() == []
    fleet.fleet().party("acme").accounts[0].facts.queue_moved()
    fleet._fleet = here  # this process has the list in its memory still
    qp.list_backends(basis_gates="cx")
    assert acme.since() == ["list"]


def test_a_list_that_a_moved_queue_ended_is_not_believed_later_either(acme, another_process):
    qp.list_backends()
    another_process()
    fleet.fleet().party("acme").accounts[0].facts.queue_moved()
    another_process()
    acme.trouble = TransportError("down")
    for _ in range(2):
        assert qp.list_backends() == []


# -- whose ------------------------------------------------------------------------------------------------------------

TOKEN = "token-of-Jane-4711-öäü\"\\'-0123456789"


@pytest.fixture
def keyed(asked, place, monkeypatch):
    made = asked(credentials=TokenCredentials)
    monkeypatch.setenv("QPROVIDER_CACHE", "disk")
    monkeypatch.setenv("QPROVIDER_CACHE_DIR", str(place))
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    return made


def everything(place: Path) -> str:
    """All names and contents below a directory, packed and unpacked."""
    parts = []
    for path in place.rglob("*"):
        parts.append(str(path.relative_to(place)))
        if path.is_file():
            raw = path.read_bytes()
            parts.append(raw.decode("latin-1"))
            if path.suffix == ".gz":
                parts.append(gzip.decompress(raw).decode())
    return "\n".join(parts)


def test_other_credentials_and_other_settings_have_another_directory(keyed, place, another_process, monkeypatch):
    qp.list_backends()
    keyed.since()
    for name, value in (
        ("QPROVIDER_ACME_TOKEN", "token-of-Joe"),
        ("QPROVIDER_ACME_API_URL", "http://127.0.0.1:1/"),
        ("QPROVIDER_ACME_API_URL", "http://127.0.0.1:2/"),
    ):
        monkeypatch.setenv(name, value)
        another_process()
        qp.list_backends()
        assert keyed.since() == ["list"], (name, value)
    assert len(list(place.iterdir())) == 4
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    monkeypatch.delenv("QPROVIDER_ACME_API_URL")
    another_process()
    qp.list_backends()
    assert keyed.since() == []


def test_directories_tell_nothing_of_credentials(keyed, place):
    qp.list_backends(basis_gates="cx")
    [directory] = place.iterdir()
    assert re.fullmatch(r"acme-[a-z]+-[0-9a-f]{5}", directory.name)
    text = everything(place)
    assert "one" in text
    assert "Jane" not in text


@pytest.mark.parametrize("echo", ["{}", "your key is {}!", "x{}"])
def test_an_answer_that_quotes_a_secret_is_not_written(keyed, place, caplog, echo):
    quoted = echo.format(TOKEN)
    keyed.listed = [BackendInfo(name="one", description=quoted)]
    assert len(qp.list_backends(basis_gates="cx")) == 1
    assert warnings(caplog) == [
        f"list of {next(place.iterdir()).name} is not kept on disk: a secret is among what the vendor told."
    ]
    keyed.listed = [BackendInfo(name=quoted, num_qubits=5)]
    qp.list_backends(basis_gates="cx", refresh=True)
    assert sorted(files(place)) == ["configuration"]
    text = everything(place)
    assert "Jane" not in text
    assert "one" in text


def test_a_secret_in_json_is_masked_as_it_stands_there():
    secret = Secret('päss"wörd\\with\tmore')
    for plain in (True, False):
        text = json.dumps({"said": f"no: {secret.reveal()}"}, ensure_ascii=plain)
        assert "with" not in _shelf.scrub(text)
    assert _shelf.scrub("a-plain-text") == "a-plain-text"


# -- what is not as it was written ------------------------------------------------------------------------------------


def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(4)) + packer.flush()


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "cut in the header": lambda path: path.write_bytes(path.read_bytes()[:5]),
    "garbage": lambda path: path.write_bytes(os.urandom(500)),
    "text": lambda path: path.write_text("{}"),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-6] + b"xxxxxx"),
    "gzip of garbage": lambda path: path.write_bytes(gzip.compress(b"\xff\xfe\x00garbage")),
    "gzip of bad JSON": lambda path: path.write_bytes(gzip.compress(b'{"format": 1,')),
    "gzip of a list": lambda path: path.write_bytes(gzip.compress(b"[1, 2]")),
    "deep nesting": lambda path: path.write_bytes(gzip.compress(b"[" * 200_000)),
    "a bomb": lambda path: path.write_bytes(bomb()),
    "no time": lambda path: change(path, at=None),
    "a time of another form": lambda path: change(path, at="yesterday"),
    "a body of another kind": lambda path: change(path, body="backends"),
    "a body of nothing": lambda path: change(path, body=7),
    "wrong types": lambda path: change(path, body=[["one"] * len(_shelf._FIELDS)]),
    "rows of another length": lambda path: change(path, body=[["one"]]),
    "rows that are none": lambda path: change(path, body=[None]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("what", ["list", "configuration"])
def test_a_damaged_file_is_told_of_and_taken_away_and_the_vendor_is_asked(
    acme, place, another_process, caplog, monkeypatch, damage, what
):
    monkeypatch.setattr(_shelf, "_MOST_BYTES", 2 << 20)
    criteria = {"basis_gates": "cx", "name": "one"}
    whole = qp.list_backends(**criteria)
    asked = {"list": "list", "configuration": "configuration of one"}[what]
    path = files(place)[what]
    good = path.read_bytes()
    DAMAGES[damage](path)
    acme.since()
    another_process()
    assert list(qp.list_backends(**criteria)) == list(whole)
    assert acme.since() == [asked]
    [warning] = warnings(caplog)
    assert warning.startswith(f"The cache file {path} is damaged (")
    assert warning.endswith("). It is removed, and the vendor is asked.")
    assert document(path)["body"] == json.loads(gzip.decompress(good))["body"]  # written anew
    another_process()
    assert list(qp.list_backends(**criteria)) == list(whole)
    assert acme.since() == []
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("changed", [{"format": 0}, {"format": 2}, {"format": "1"}, {"core": "0.0.1"}, {"core": None}])
def test_a_file_of_another_version_is_not_used_and_not_complained_of(acme, place, another_process, caplog, changed):
    qp.list_backends()
    change(files(place)["list"], **changed, body="of another form")
    acme.since()
    another_process()
    assert len(qp.list_backends()) == 2
    assert acme.since() == ["list"]
    assert warnings(caplog) == []


def test_a_time_in_the_future_is_not_believed(acme, place, another_process):
    qp.list_backends()
    change(files(place)["list"], at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    acme.since()
    another_process()
    assert qp.list_backends().ages_s == {"acme": 0.0}
    assert acme.since() == ["list"]
    another_process()
    qp.list_backends()
    assert acme.since() == []


def test_a_clock_that_is_a_little_ahead_is(acme, place, another_process):
    qp.list_backends()
    change(files(place)["list"], at=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    acme.since()
    another_process()
    assert 0 <= qp.list_backends().ages_s["acme"] < 2
    assert acme.since() == []


def test_a_directory_in_the_place_of_a_file_costs_that_file(acme, place, another_process, caplog):
    qp.list_backends(basis_gates="cx", name="one")
    path = files(place)["list"]
    path.unlink()
    (path / "mine").mkdir(parents=True)
    acme.since()
    another_process()
    assert qp.list_backends(basis_gates="cx", name="one").names() == ["acme:one"]
    assert acme.since() == ["list"]
    [warning] = warnings(caplog)
    assert f"The cache {path.parent} cannot be used: Is a directory" in warning
    assert (path / "mine").is_dir()  # it may be somebody's


def test_a_file_in_the_place_of_the_directory_costs_the_cache(acme, place, another_process, caplog):
    place.write_text("mine")
    for _ in range(2):
        another_process()
        assert len(qp.list_backends(basis_gates="cx")) == 2
        fleet.fleet().party("acme").accounts[0].facts.queue_moved()
    assert acme.since() == ["configuration of one"] * 2 + ["configuration of two"] * 2 + ["list"] * 2
    assert len(warnings(caplog)) == 2  # one a process
    assert "cannot be used" in warnings(caplog)[0]
    assert place.read_text() == "mine"


def test_a_directory_that_is_taken_away_meanwhile_comes_again(acme, place, another_process):
    import shutil

    qp.list_backends()
    shutil.rmtree(place)
    for _ in range(2):
        assert len(qp.list_backends(refresh=True)) == 2
    assert sorted(files(place)) == ["list"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize(("mode", "what"), [(0o000, "file"), (0o500, "directory")])
def test_what_may_not_be_read_or_written_costs_the_cache(acme, place, another_process, caplog, mode, what):
    qp.list_backends()
    path = files(place)["list"]
    target = path if what == "file" else path.parent
    target.chmod(mode)
    try:
        another_process()
        assert len(qp.list_backends(refresh=what == "directory")) == 2
        assert "Permission denied" in warnings(caplog)[0]
    finally:
        target.chmod(0o700)


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(acme, place, caplog):
    qp.list_backends()
    path = files(place)["list"]
    good = path.read_bytes()
    acme.listed += [BackendInfo(name=os.urandom(30).hex()) for _ in range(200)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))  # writes beyond it fail with an error
    try:
        listed = qp.list_backends(refresh=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(listed) == 202
    assert path.read_bytes() == good
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    [warning] = warnings(caplog)
    assert warning == f"The cache {path.parent} cannot be used: File too large. All goes on without it."
    qp.list_backends(refresh=True)
    assert len(document(path)["body"]) == 202


WRITER = """
import sys
from pathlib import Path
from qprovider_core._cache import Told
from qprovider_core._shelf import Shelf
from qprovider_core.records import BackendInfo
shelf = Shelf(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for turn in range(100):
    shelf.keep_listing(Told(tuple(BackendInfo(name=f"{sys.argv[2]}-{turn}-{n}") for n in range(20))))
    told = shelf.listing()
    assert told is not None
    writers = {info.name.rpartition("-")[0] for info in told.value}
    assert len(writers) == 1 and len(told.value) == 20, writers
"""


@pytest.mark.slow
def test_readers_see_a_whole_file_while_many_processes_write(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "a"), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]
    assert [(process.returncode, err) for process, (_, err) in zip(processes, said, strict=True)] == [(0, "")] * 6
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["list.json.gz"]
