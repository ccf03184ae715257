"""`qprovider new-plugin`: a package is written whole or not at all, and every refusal says what to do."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from packaging.requirements import Requirement

import qprovider_core as qp
from qprovider_core import _plugins
from qprovider_core._template_package import TEMPLATE, NewPackage
from qprovider_core.cli._app import app

Call = Callable[..., Result]

FILES = {
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "qprovider_acme/__init__.py",
    "qprovider_acme/_client.py",
    "qprovider_acme/_wire.py",
    "qprovider_acme/contract.py",
    "qprovider_acme/py.typed",
    "tests/test_contract.py",
    "tests/test_wire.py",
}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["new-plugin", *arguments], prog_name="qprovider")


def written(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8") for file in files}


def test_a_package_is_written_and_the_next_commands_are_told(call: Call, tmp_path: Path) -> None:
    done = call("acme")
    assert done.exit_code == 0, done.output
    assert set(written(tmp_path / "qprovider-acme")) == FILES
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "cd qprovider-acme",
        "pip install -e '.[test]'",
        "pytest",
        "qprovider backends --provider acme",
    ]
    assert done.stderr.startswith("Wrote qprovider-acme,")
    assert os.listdir(tmp_path) == ["qprovider-acme"]


@pytest.mark.parametrize("credentials", ["none", "token"])
@pytest.mark.parametrize("name", ["acme", "beta_works_2"])
def test_the_names_stand_where_those_of_the_template_stood(
    call: Call, tmp_path: Path, name: str, credentials: str
) -> None:
    title = "Wörks {x}' %s $n @name@ <b>`"
    assert call(name, "--title", title, "--credentials", credentials).exit_code == 0
    distribution, module = f"qprovider-{name.replace('_', '-')}", f"qprovider_{name}"
    files = written(tmp_path / distribution)
    assert {path.replace(module, "qprovider_acme") for path in files} == FILES
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert (project["name"], project["entry-points"]) == (distribution, {"qprovider": {name: module}})
    for path, text in files.items():
        if path.endswith(".py"):
            ast.parse(text)
        if name != "acme":
            assert "acme" not in text.lower(), path
        assert not any(mark in text for mark in ("# @token", "# @none", "# @end", "<!-- @")), path
    assert f'title="{title}",' in files[f"{module}/__init__.py"]
    assert ("Secret" in files[f"{module}/_client.py"]) == (credentials == "token")
    assert ("## Account" in files["README.md"]) == (credentials == "token")


def test_without_a_title_the_name_is_one(call: Call, tmp_path: Path) -> None:
    call("beta_works")
    assert 'title="Beta Works",' in (tmp_path / "qprovider-beta-works/qprovider_beta_works/__init__.py").read_text()


def test_with_a_token_the_account_is_the_next_step(call: Call) -> None:
    assert "qprovider accounts add acme" in call("acme", "--credentials", "token").stdout


def test_it_is_written_where_it_is_wanted(call: Call, tmp_path: Path) -> None:
    place = tmp_path / "with a space"
    place.mkdir()
    done = call("acme", "--directory", str(place))
    assert f"cd '{place}/qprovider-acme'" in done.stdout
    assert os.listdir(place) == ["qprovider-acme"]


def test_it_asks_for_the_core_that_wrote_it(call: Call, tmp_path: Path) -> None:
    call("acme")
    project = tomllib.loads((tmp_path / "qprovider-acme/pyproject.toml").read_text())["project"]
    needs = {need.name: need for need in map(Requirement, project["dependencies"])}
    assert needs["qprovider-core"].specifier.contains(qp.__version__)
    extras = [Requirement(text) for text in project["optional-dependencies"]["test"]]
    assert {"testing"} in [need.extras for need in extras if need.name == "qprovider-core"]


def test_no_file_of_it_names_a_package_index() -> None:
    for file in TEMPLATE.rglob("*"):
        assert (
            not file.is_file() or "__pycache__" in file.parts or "pypi" not in file.read_text(encoding="utf-8").lower()
        ), file


# -- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why", "instead"),
    [
        ("Acme", "lower case", "acme"),
        ("acme-quantum", "letters, digits and underscores", "acme_quantum"),
        ("2acme", "begins with a letter", "acme"),
        ("", "letters, digits and underscores", "acme"),
        ("../acme", "letters, digits and underscores", "acme"),
        ("acmé", "letters, digits and underscores", "acm"),
        ("a" * 41, "at most 40 characters", "a" * 40),
        ("acme_", "Each underscore stands between", "acme"),
        ("ac__me", "Each underscore stands between", "ac_me"),
        ("class", "a word of Python", "acme"),
        ("core", "a part of qprovider itself", "acme"),
    ],
)
def test_a_name_that_no_plugin_can_have(call: Call, tmp_path: Path, name: str, why: str, instead: str) -> None:
    done = call("--", name)
    assert done.exit_code == 2
    what, reason, hint = done.stderr.splitlines()
    assert what == f"Error: {name!r} cannot be the name of a plugin."
    assert why in reason
    assert hint.endswith(f"such as: qprovider new-plugin {instead}")
    assert os.listdir(tmp_path) == []


def test_a_name_that_a_plugin_here_has(call: Call, tmp_path: Path) -> None:
    class Acme:
        @qp.hookimpl
        def qprovider_provider(self) -> qp.ProviderSpec:
            return qp.ProviderSpec(name="acme", title="Acme Quantum")

        @qp.hookimpl
        def qprovider_open_account(self) -> str:
            return "connection"

        @qp.hookimpl
        def qprovider_list_backends(self) -> list[qp.BackendInfo]:
            return []

    qp.register_plugin(Acme(), "works")
    for name in ("acme", "works"):  # the provider's, and the plugin's
        done = call(name)
        assert done.exit_code == 2
        assert f"There is a plugin {name!r} here already." in done.stderr
        assert "uninstall" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_name_whose_module_is_here(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "path"
    place.mkdir()
    (place / "qprovider_other_vendor.py").touch()
    monkeypatch.syspath_prepend(str(place))
    done = call("other_vendor")
    assert done.exit_code == 2
    assert "There is a module 'qprovider_other_vendor' here already." in done.stderr
    assert os.listdir(tmp_path) == ["path"]


@pytest.mark.parametrize("title", ["", "  ", 'Acme "Q"', "Acme\\", "Acme\nQuantum", "Acme\x1b[31m", "x" * 61])
def test_a_title_that_cannot_stand_in_the_files(call: Call, tmp_path: Path, title: str) -> None:
    done = call("acme", "--title", title)
    assert done.exit_code == 2
    assert "title" in done.stderr.splitlines()[0]
    assert "--title 'Acme Quantum'" in done.stderr
    assert "\x1b" not in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["directory", "full directory", "file", "link"])
def test_nothing_is_overwritten(call: Call, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "qprovider-acme"
    if kind == "file":
        target.write_text("mine")
    elif kind == "link":
        target.symlink_to(tmp_path / "gone")
    else:
        target.mkdir()
        if kind == "full directory":
            (target / "notes").write_text("mine")
    done = call("acme")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "Error: qprovider-acme is there already."
    assert "Nothing is ever overwritten." in done.stderr
    assert os.listdir(tmp_path) == ["qprovider-acme"]
    assert written(tmp_path) in ({}, {"qprovider-acme": "mine"}, {"qprovider-acme/notes": "mine"})


@pytest.mark.parametrize(("place", "why"), [("gone", "is not there"), ("file", "is no directory")])
def test_a_parent_that_is_not_there(call: Call, tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").touch()
    done = call("acme", "--directory", place)
    assert done.exit_code == 1
    what, reason, hint = done.stderr.splitlines()
    assert what == f"Error: {place}/qprovider-acme cannot be written."
    assert why in reason
    assert "--directory" in hint
    assert os.listdir(tmp_path) == ["file"]


def test_a_place_that_cannot_be_written(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:  # as for who is not root
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    done = call("acme")
    assert done.exit_code == 1
    assert "qprovider-acme cannot be written" in done.stderr
    assert "Permission denied" in done.stderr
    assert "--directory" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    write, count = Path.write_text, iter(range(100))

    def broken(self: Path, *args: object, **kwargs: object) -> int:
        if next(count) == 5:
            raise failure
        return write(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", broken)
    done = call("acme")
    assert done.exit_code == (1 if isinstance(failure, OSError) else 130)
    assert os.listdir(tmp_path) == []


def test_who_was_slower_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        NewPackage(name="acme", title="First").write(tmp_path)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(qp.QProviderError, match="is there already"):
        NewPackage(name="acme", title="Second").write(tmp_path)
    assert os.listdir(tmp_path) == ["qprovider-acme"]
    assert 'title="First"' in (tmp_path / "qprovider-acme/qprovider_acme/__init__.py").read_text()
