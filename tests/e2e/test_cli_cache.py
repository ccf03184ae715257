"""What one process remembers on disk for the next, and rows that arrive on a terminal, with the real command."""

import gzip
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cache(environment: dict[str, str], tmp_path: Path) -> Path:
    """The directory of what is remembered on disk, switched on."""
    environment |= {"QPROVIDER_CACHE": "disk", "QPROVIDER_CACHE_DIR": str(tmp_path / "cache")}
    return tmp_path / "cache"


@pytest.fixture
def listing(run: Run) -> Callable[..., dict[str, Any]]:
    """What `qprovider backends --json` says, for IBM's backends."""

    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        done = run("backends", "--json", "--explain", "--provider", "ibm", *arguments)
        assert done.returncode == code, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document | {"said": done.stderr}

    return call


@pytest.fixture
def python(environment: dict[str, str], tmp_path: Path) -> Callable[[str], Any]:
    """Runs a script in a process of its own; gives the JSON that it printed."""

    def call(code: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def asked(service: Emulator) -> list[str]:
    paths = [one["path"] for one in service.requests()]
    service.clear_requests()
    return paths


# -- from one process to the next -------------------------------------------------------------------------------------


def test_the_next_process_makes_no_request(
    service: Emulator, cache: Path, listing: Callable[..., Any], python: Callable[[str], Any]
) -> None:
    first = listing("--where", "'cx' in basis_gates or 'cz' in basis_gates or num_qubits > 0")
    assert asked(service).count("/identity/token") == 1
    second = listing("--where", "'cx' in basis_gates or 'cz' in basis_gates or num_qubits > 0")
    assert asked(service) == []
    assert second["backends"] == first["backends"]
    assert second["as_of"] == first["as_of"]
    assert first["ages_s"] == {"environment/ibm": 0.0}
    assert 0 < second["ages_s"]["environment/ibm"] < 15
    assert (second["requests"], second["remembered"]["info"]) == ({}, 1)
    told = python(
        """
        import json, sys
        import qprovider_core as qp
        from qprovider_core.fleet import fleet
        found = qp.list_backends(provider="ibm", num_qubits=27)
        account = fleet().party("ibm").accounts[0]
        print(json.dumps([found.names(), qp.least_busy(found).name, account._opening is None, found.requests]))
        """
    )
    assert told[0]
    assert told[2:] == [True, {}]
    assert asked(service) == []


def test_handles_are_made_without_a_request(service: Emulator, cache: Path, python: Callable[[str], Any]) -> None:
    code = """
    import json
    import qprovider_core as qp
    backend = qp.get_backend("ibm:ibm_hanoi")
    print(json.dumps([backend.target.num_qubits, backend.properties().last_update.isoformat(), len(qp.backends())]))
    """
    first = python(code)
    assert {"/api/v1/backends/ibm_hanoi/configuration", "/api/v1/backends/ibm_hanoi/properties"} <= set(asked(service))
    assert python(code) == first
    assert asked(service) == []


def test_refresh_asks(service: Emulator, cache: Path, listing: Callable[..., Any]) -> None:
    listing()
    asked(service)
    again = listing("--refresh")
    assert "/api/v1/backends" in asked(service)
    assert again["ages_s"] == {"environment/ibm": 0.0}


def test_other_credentials_and_other_addresses_ask_for_themselves(
    service: Emulator, cache: Path, listing: Callable[..., Any], environment: dict[str, str]
) -> None:
    listing()
    asked(service)
    environment["QPROVIDER_IBM_TOKEN"] = service.api_keys[1]
    listing()
    assert "/api/v1/backends" in asked(service)
    environment["QPROVIDER_IBM_API_URL"] += "/"
    listing()
    assert "/api/v1/backends" in asked(service)
    assert len(list(cache.iterdir())) == 3


def test_no_secret_is_on_disk(
    service: Emulator, cache: Path, listing: Callable[..., Any], run: Run, bell: str, environment: dict[str, str]
) -> None:
    listing("--where", "'cz' in basis_gates or num_qubits > 0")
    done = run("run", bell, "--backend", "ibm:ibm_hanoi")  # this fetches a calibration, too
    assert done.returncode == 0, done.stderr
    assert len(list(cache.glob("*/properties*"))) == 1
    parts = []
    for path in cache.rglob("*"):
        parts.append(str(path).encode())
        if path.is_file():
            raw = path.read_bytes()
            parts += [raw, gzip.decompress(raw) if path.suffix == ".gz" else b""]
    text = b"\n".join(parts)
    assert b"ibm_hanoi" in text
    assert environment["QPROVIDER_IBM_TOKEN"].encode() not in text
    assert re.search(rb"[Bb]earer|access_token|apikey", text) is None


def test_a_job_that_another_process_submits_ends_the_list(
    service: Emulator, cache: Path, listing: Callable[..., Any], run: Run, bell: str
) -> None:
    listing()
    asked(service)
    done = run("run", bell, "--backend", "ibm:ibm_hanoi")
    assert done.returncode == 0, done.stderr
    asked(service)
    listing()
    assert "/api/v1/backends" in asked(service)
    listing()
    assert asked(service) == []


def test_a_damaged_file_is_said_and_the_vendor_asked(
    service: Emulator, cache: Path, listing: Callable[..., Any]
) -> None:
    whole = listing()
    [path] = cache.glob("*/list.json.gz")
    path.write_bytes(path.read_bytes()[:-30])
    asked(service)
    again = listing()
    assert again["backends"] == whole["backends"]
    said = " ".join(again["said"].split())
    assert f"Note: The cache file {path} is damaged" in said
    assert "It is removed, and the vendor is asked." in said
    assert "/api/v1/backends" in asked(service)
    assert listing()["said"] == ""
    assert asked(service) == []


def test_memory_is_the_default_and_nonsense_is_refused(
    service: Emulator, environment: dict[str, str], run: Run, tmp_path: Path
) -> None:
    environment["QPROVIDER_CACHE_DIR"] = str(tmp_path / "cache")
    assert run("backends").returncode == 0
    assert not (tmp_path / "cache").exists()
    environment["QPROVIDER_CACHE"] = "sometimes"
    done = run("backends")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "Error: The environment variable QPROVIDER_CACHE is 'sometimes'.",
        "  It must be memory, disk or off.",
        "  Set it to disk to keep answers from one process to the next, or unset it.",
    ]


# -- a service that is down -------------------------------------------------------------------------------------------


@pytest.fixture
def gone(environment: dict[str, str]) -> Iterator[Callable[..., Emulator]]:
    """Starts services; one that is started again has the same port."""
    started: list[Emulator] = []

    def begin(**settings: Any) -> Emulator:
        port = int(started[-1].base.rpartition(":")[2]) if started else 0
        for one in started:
            one.close()
        started.append(Emulator(backends=2, port=port, **settings))
        if len(started) == 1:
            environment.update(started[0].environment("premium-eu"))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def test_stale_rows_stand_in_for_a_service_that_is_gone_but_not_for_one_that_refuses(
    gone: Callable[..., Emulator], cache: Path, listing: Callable[..., Any], run: Run
) -> None:
    first = gone()
    whole = listing("--where", "'cz' in basis_gates or num_qubits > 0")
    first.close()
    [path] = cache.glob("*/list.json.gz")
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["at"] = (datetime.fromisoformat(document["at"]) - timedelta(hours=3)).isoformat()
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    without = listing("--timeout", "3", code=1)
    assert (without["backends"], len(without["errors"])) == ([], 1)
    stale = listing("--timeout", "3", "--stale", "--where", "'cz' in basis_gates or num_qubits > 0")
    assert stale["backends"] == whole["backends"]
    assert stale["notes"] == ["environment/ibm: does not answer; this is what it told 3 h ago"]
    assert stale["ages_s"]["environment/ibm"] >= 3 * 3600
    assert [error["provider"] for error in stale["errors"]] == ["ibm"]
    assert stale["requests"] == {}
    table = run("backends", "--provider", "ibm", "--timeout", "3", "--stale")
    assert table.returncode == 0
    assert "ibm:ibm_hanoi" in table.stdout
    assert "this is what it told 3 h ago" in table.stderr
    gone(api_keys=["another-key-0123456789-0123456789-0123456789"])
    refused = listing("--timeout", "10", "--stale", code=1)
    assert (refused["backends"], refused["notes"]) == ([], [])
    assert "does not accept this API key" in refused["errors"][0]["reason"]


# -- bad input, and nothing to ask ------------------------------------------------------------------------------------


def test_without_any_account_the_local_backends_are_listed_and_it_says_how_to_add_one(
    run: Run, python: Callable[[str], Any]
) -> None:
    done = run("backends")
    assert done.returncode == 0, done.stderr
    assert "local:aer_simulator" in done.stdout
    assert "ibm: no account; add one with `qprovider accounts add ibm`" in done.stderr
    names, notes, errors = python(
        """
        import json
        import qprovider_core as qp
        found = qp.list_backends()
        print(json.dumps([found.names(), found.notes, [str(error) for error in found.errors]]))
        """
    )
    assert "local:aer_simulator" in names
    assert "ibm: no account; add one with `qprovider accounts add ibm`" in notes
    assert errors == []
    named = run("backends", "--provider", "ibm")
    assert named.returncode == 1
    assert "qprovider accounts add ibm" in named.stderr


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon"])
def test_a_timeout_is_a_positive_number(run: Run, timeout: str) -> None:
    done = run("backends", f"--timeout={timeout}")
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert re.search(r"--timeout|A timeout is a positive, finite number of seconds", done.stderr)


def test_an_unknown_provider_is_refused_with_near_matches(run: Run) -> None:
    done = run("backends", "--provider", "imb")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'imb'" in done.stderr
    assert "ibm" in done.stderr
    assert run("backends", "imb:*").returncode == 2


def test_criteria_that_contradict_each_other_leave_nobody_and_say_why(run: Run) -> None:
    done = run("backends", "--provider", "local", "--where", "num_qubits > 5 and num_qubits < 3", "--explain")
    assert (done.returncode, done.stdout) == (0, "")
    assert "wanted num_qubits > 5" in done.stderr
    assert "wanted num_qubits < 3" in done.stderr


# -- on a terminal ----------------------------------------------------------------------------------------------------

VENDORS = """
import os, time
from pathlib import Path
from qprovider_core import BackendInfo, ProviderSpec, hookimpl

class Vendor:
    def __init__(self, name):
        self.name = name

    @hookimpl
    def qprovider_provider(self):
        return ProviderSpec(name=self.name, title=self.name.title())

    @hookimpl
    def qprovider_open_account(self):
        return self.name

    @hookimpl
    def qprovider_list_backends(self):
        if self.name == "slow":
            while not Path(os.environ["GO_ON"]).exists():
                time.sleep(0.02)
        return [BackendInfo(name=f"{self.name}-{n}", num_qubits=n) for n in range(3)]

quick, slow = Vendor("quick"), Vendor("slow")
"""


@pytest.fixture
def go_on(environment: dict[str, str], tmp_path: Path) -> Path:
    """Two vendors are installed, a quick one and one that answers once this file is there."""
    site = tmp_path / "site"
    info = site / "vendors-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "test_vendors.py").write_text(VENDORS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendors\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[qprovider]\nquick = test_vendors:quick\nslow = test_vendors:slow\n")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), environment.get("PYTHONPATH", "")]))
    environment["QPROVIDER_PLUGINS"] = "quick,slow"
    environment["GO_ON"] = str(tmp_path / "go-on")
    return tmp_path / "go-on"


def screen(shown: str) -> list[str]:
    """What a terminal shows after it was sent this: lines, without what was erased."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        move = re.fullmatch(r"\x1b\[(\d*)([A-Z])", part)
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif move and move[2] == "A":
            row = max(0, row - int(move[1] or 1))
        elif move and move[2] == "K":
            assert move[1] == "2", part
            rows[row] = ""
        elif part.startswith("\x1b"):
            assert re.fullmatch(r"\x1b\[([\d;]*m|\?25[hl])", part), repr(part)
        else:
            line = rows[row].ljust(column)
            rows[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in rows]


def test_rows_appear_as_they_come_and_the_whole_table_stands_once_at_the_end(
    in_terminal: Callable[..., Any], go_on: Path
) -> None:
    with in_terminal("backends") as terminal:
        terminal.read_until("quick:quick-2")
        terminal.read_until("slow has not answered yet")
        assert "slow:slow" not in terminal.shown
        go_on.write_text("")
        assert terminal.wait() == 0
        shown = terminal.shown
    end = screen(shown)
    rows = [line.split()[0] for line in end if ":" in line]
    assert rows == [f"{vendor}:{vendor}-{n}" for vendor in ("quick", "slow") for n in range(3)]
    assert not [line for line in end if "answered" in line]
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_ctrl_c_leaves_the_terminal_as_it_was(in_terminal: Callable[..., Any], go_on: Path) -> None:
    with in_terminal("backends") as terminal:
        terminal.read_until("slow has not answered yet")
        terminal.interrupt()
        assert terminal.wait() == 130
        shown = terminal.shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    end = [line for line in screen(shown) if line and "^C" not in line]
    assert end == ["Interrupted."]


def test_a_vendor_that_will_not_answer_any_more_is_named_meanwhile(
    in_terminal: Callable[..., Any], go_on: Path, environment: dict[str, str]
) -> None:
    with in_terminal("backends", "--timeout", "0.6") as terminal:
        assert terminal.wait() == 0
        shown = terminal.shown
    end = screen(shown)
    assert [line.split()[0] for line in end if ":" in line][:3] == ["quick:quick-0", "quick:quick-1", "quick:quick-2"]
    assert len([line for line in end if "slow: no answer within 0.6 s" in line]) == 1


def test_without_a_terminal_there_is_no_show(run: Run, go_on: Path) -> None:
    go_on.write_text("")
    done = run("backends")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "answered" not in done.stdout + done.stderr
