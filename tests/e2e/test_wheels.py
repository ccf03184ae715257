"""The wheels, built and installed (not editable) in a fresh environment: nothing is missing."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "qprovider-core": "qprovider_core",
    "qprovider-ibm": "qprovider_ibm",
    "qprovider-local": "qprovider_local",
    "qprovider-qiskit": "qprovider_qiskit",
}
PLACES = [str(ROOT), *(str(ROOT / "plugins" / name) for name in ("ibm", "local", "qiskit"))]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    _pip("wheel", *how, *PLACES)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def fresh(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheels. What they depend on is lent by this one, behind it on the path; a
    ``.pth`` file read this way does not lead on to our editable installations."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    _pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", *map(str, wheels))
    lent = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "lent.pth").write_text("\n".join(dict.fromkeys(lent)) + "\n")
    return folder


@pytest.fixture
def run(fresh: Path, tmp_path: Path) -> Run:
    """Runs a program of the fresh environment, in an empty home, and gives what it printed."""

    def call(program: str, *arguments: str) -> str:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        done = subprocess.run(
            [str(fresh / "bin" / program), *arguments],
            env=kept | {"HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_a_wheel_holds_its_package_licence_and_type_marker(wheels: list[Path]) -> None:
    assert [wheel.name.split("-")[0] for wheel in wheels] == sorted(PACKAGES.values())
    for wheel in wheels:
        package = wheel.name.split("-")[0]
        names = zipfile.ZipFile(wheel).namelist()
        assert {name.split("/")[0].split("-")[0] for name in names} == {package}, "nothing beside the package"
        assert f"{package}/py.typed" in names
        assert any(name.endswith("LICENSE") for name in names)
        assert not [name for name in names if "__pycache__" in name]


def test_everything_that_git_tracks_of_a_package_is_in_its_wheel(wheels: list[Path]) -> None:
    for wheel, place in zip(wheels, PLACES, strict=True):
        package = wheel.name.split("-")[0]
        listed = subprocess.run(["git", "ls-files", package], cwd=place, capture_output=True, text=True, check=False)
        tracked = {name for name in listed.stdout.splitlines() if (Path(place) / name).exists()}
        assert tracked <= set(zipfile.ZipFile(wheel).namelist())


def test_the_modules_come_from_the_fresh_environment(run: Run, fresh: Path) -> None:
    code = (
        "import importlib, importlib.metadata as m, json\n"
        f"print(json.dumps([[importlib.import_module(p).__file__, str(m.distribution(d).locate_file(''))]"
        f" for d, p in {PACKAGES!r}.items()]))"
    )
    for file, distribution in json.loads(run("python", "-I", "-c", code)):
        assert Path(file).is_relative_to(fresh)
        assert Path(distribution).is_relative_to(fresh)


def test_the_entry_points_are_found(run: Run) -> None:
    code = (
        "from importlib.metadata import entry_points\n"
        "for e in entry_points(group='qprovider'): print(e.name, getattr(e.load(), '__name__', e.load()))"
    )
    found = set(run("python", "-I", "-c", code).splitlines())
    assert found >= {"ibm qprovider_ibm", "local qprovider_local", "qiskit <QiskitAdapter qiskit>"}


def test_the_command_tells_its_version(run: Run) -> None:
    assert re.fullmatch(r"qprovider \d+\.\d+\.\d+\n", run("qprovider", "--version"))


def test_the_command_lists_local_backends(run: Run) -> None:
    listed = json.loads(run("qprovider", "backends", "--json", "--provider", "local"))
    by_name = {backend["name"]: backend for backend in listed["backends"]}
    assert "aer_simulator" in by_name
    twins = [backend for backend in by_name.values() if backend["noisy"]]
    assert any(backend["num_qubits"] == 5 for backend in twins), "the calibration snapshots are in the wheel"
    assert listed["errors"] == []


def test_the_plugins_are_active_there(run: Run) -> None:
    listed = json.loads(run("qprovider", "plugins", "--json"))["plugins"]
    status = {plugin["name"]: plugin["status"] for plugin in listed}
    assert {status[name] for name in ("ibm", "local", "qiskit", "aer", "fake")} == {"active"}
    assert {*status.values()} <= {"active", "needs a package"}


def test_the_constraints_are_exact_versions_without_an_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    assert not {pin.split("==")[0] for pin in pins} & set(PACKAGES)


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
