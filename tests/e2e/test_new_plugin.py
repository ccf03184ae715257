"""The commands of the plugin guide, as they stand: a plugin from the template is created, installed, tested and listed.

They run in an environment of their own, which has the core from its wheel. What else they need is lent by ours.
"""

from __future__ import annotations

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
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
TOOLS = {"pytest": "pytest", "mypy": "mypy"}  # commands that pip would bring, and their modules

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Shell = Callable[..., str]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the core's wheel, and behind it on the path all of ours but what is called qprovider."""
    place = tmp_path_factory.mktemp("fresh")
    folder, lent = place / "env", place / "lent"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    lent.mkdir()
    for name in ("platlib", "purelib"):
        for item in Path(sysconfig.get_path(name)).iterdir():
            if not item.name.startswith(("qprovider", "__editable__")) and not (lent / item.name).exists():
                (lent / item.name).symlink_to(item)
    site = next(folder.glob("lib/python*/site-packages"))
    how = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *how, str(ROOT)], check=True)
    (site / "lent.pth").write_text(f"{lent}\n")
    for name, module in {**TOOLS, "qprovider": "qprovider_core.cli"}.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {folder}/bin/python -m {module} "$@"\n')
        program.chmod(0o755)
    (folder / "bin" / "ruff").symlink_to(Path(sysconfig.get_path("scripts")) / "ruff")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory, in which the commands are typed."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def shell(fresh: Path, home: Path) -> Shell:
    """Types commands into a shell where the environment is active; gives what was printed."""

    def call(commands: str, folder: str = ".", *, code: int = 0) -> str:
        done = subprocess.run(
            ["bash", "-euc", commands],
            env={
                "PATH": f"{fresh / 'bin'}:{os.environ['PATH']}",
                "HOME": str(home),
                "LANG": os.environ.get("LANG", "C.UTF-8"),
                "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0",  # pip takes it for the value of --build-isolation
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            cwd=home / folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    return call


def test_the_commands_of_the_guide_lead_from_nothing_to_a_listed_plugin(shell: Shell, home: Path) -> None:
    assert len(BLOCKS[0].splitlines()) == 5
    printed = shell("".join(BLOCKS))  # in one shell, as they stand
    check(printed, "acme", least=90)

    [told] = json.loads(shell("qprovider plugins --json"))["plugins"]
    assert (told["name"], told["provider"], told["title"]) == ("acme", "acme", "Acme Quantum")
    assert (told["status"], told["distribution"], told["version"]) == ("active", "qprovider-acme", "0.1.0")

    # Where it is installed no file is needed.
    printed = shell("pytest -p no:cacheprovider --qprovider-contract acme -k 'declar or order'")
    assert "contract: Acme Quantum (acme), an account of the contract's own, on simulator" in printed
    assert "supports_sessions = False" in printed
    assert re.search(r" \d+ passed", printed)

    again = shell(BLOCKS[0].splitlines()[0], code=2)
    assert "There is a plugin 'acme' here already." in again
    assert "It is of qprovider-acme" in again

    shell("pip wheel --quiet --no-deps --wheel-dir dist .", "qprovider-acme")
    [wheel] = (home / "qprovider-acme" / "dist").glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {
        f"qprovider_acme/{one}" for one in ("__init__.py", "_client.py", "_wire.py", "contract.py", "py.typed")
    }


def test_one_with_a_token_keeps_its_promises_too(shell: Shell) -> None:
    printed = shell(
        """
        qprovider new-plugin beta_works --credentials token --title "Bêta {x}' Works"
        cd qprovider-beta-works
        pip install -e '.[test]'
        pytest
        mypy --strict
        ruff check
        printf '%s\\n' beta_works-demo-token | qprovider accounts add beta_works
        qprovider backends --provider beta_works
        """
    )
    check(printed, "beta_works", least=94)
    refused = shell("QPROVIDER_BETA_WORKS_TOKEN=a-wrong-token qprovider backends --provider beta_works")
    assert "does not know this token" in refused
    assert "qprovider accounts add beta_works --overwrite" in refused


def check(printed: str, name: str, *, least: int) -> None:
    """That its tests passed, its types and style are clean, and it is listed."""
    passed = re.search(r" (\d+) passed", printed)
    assert passed is not None, printed
    assert int(passed[1]) >= least, printed
    assert " failed" not in printed, printed
    assert " warning" not in printed.lower(), printed
    assert "Success: no issues found" in printed, printed
    assert "All checks passed!" in printed, printed
    assert re.search(rf"^{name}:simulator +5 +online", printed, re.MULTILINE), printed
