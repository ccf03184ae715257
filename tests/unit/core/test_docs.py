"""The plugin guide and the code say the same."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import qprovider_core
from qprovider_core import errors, hookspecs, records
from qprovider_core._plugins import HOOKS, Registry
from qprovider_core.testing import Declarations

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
NEEDED = {
    "qprovider_provider": "always",
    "qprovider_open_account": "always",
    "qprovider_list_backends": "always",
    "qprovider_backend_configuration": "to open a backend",
    "qprovider_submit_job": "to run",
    "qprovider_get_job": "to run",
    "qprovider_job_result": "to run",
}
ROWS = dict(re.findall(r"^\| `(qprovider_\w+)` \| ([^|]+) \|", GUIDE, re.MULTILINE))
STUBS = dict(re.findall(r"^(qprovider_\w+)(\(.*\) -> .*)$", GUIDE, re.MULTILINE))


def signature(hook: str) -> str:
    found = inspect.signature(getattr(hookspecs, hook))
    arguments = ", ".join(f"{one.name}: {one.annotation}" for one in found.parameters.values())
    return f"({arguments}) -> {found.return_annotation}"


@pytest.mark.parametrize("hook", HOOKS)
def test_the_guide_has_every_hook_with_its_exact_signature(hook: str) -> None:
    assert STUBS.get(hook) == signature(hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_guide_says_whether_a_hook_is_needed(hook: str) -> None:
    assert ROWS[hook].startswith(NEEDED.get(hook, "optional"))


def test_the_guide_has_no_hook_that_is_gone() -> None:
    named = set(re.findall(r"\bqprovider_(?!core|ibm|local)[a-z_]+\b", GUIDE))
    assert named <= set(HOOKS)
    assert list(STUBS) == list(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_docstring(hook: str) -> None:
    assert inspect.getdoc(getattr(hookspecs, hook))


def test_every_hook_is_named_by_some_test() -> None:
    folders = [ROOT / "tests", ROOT / "qprovider_core" / "testing"]
    files = [file for folder in folders for file in folder.rglob("*.py") if file != Path(__file__)]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert [hook for hook in HOOKS if not re.search(rf"\b{hook}\b", text)] == []


def test_the_guide_names_every_declaration_of_the_contract_tests() -> None:
    section = GUIDE.partition("## Contract tests")[2]
    assert [name for name in Declarations.__annotations__ if f"`{name}`" not in section] == []


def test_the_errors_and_records_that_the_guide_names_exist() -> None:
    words = re.findall(r"`(?:qp\.)?([A-Z][a-z]+[A-Z]\w+)", GUIDE)
    ours = {word for word in words if word.endswith(("Error", "Info", "Result", "Spec", "Ref", "Credentials"))}
    assert ours - set(dir(builtins)) <= set(qprovider_core.__all__)
    assert ours & set(vars(errors))
    assert ours & set(vars(records))


def test_a_plugin_with_the_documented_signatures_is_called_with_them() -> None:
    """Every hook, written as the guide has it, gets each argument that it names."""
    calls: dict[str, Mapping[str, Any]] = {}
    code = "\n".join(f"def {hook}{stub}:\n    return answer({hook!r}, dict(locals()))" for hook, stub in STUBS.items())

    def answer(hook: str, arguments: dict[str, Any]) -> Any:
        calls[hook] = arguments
        return records.ProviderSpec(name="whole", title="Whole") if hook == "qprovider_provider" else None

    space: dict[str, Any] = {"answer": answer}
    exec("from __future__ import annotations\n" + code, space)
    plugin = type("Plugin", (), {h: staticmethod(hookspecs.hookimpl(space[h])) for h in STUBS})()
    registry = Registry()
    registry._discovered = True  # the installed ones are not wanted here
    info = registry.register(plugin, "whole")
    assert info.hooks == tuple(sorted(HOOKS))
    provider = registry.provider("whole")
    for hook in HOOKS:
        names = list(inspect.signature(getattr(hookspecs, hook)).parameters)
        provider.call(hook, **{name: name.upper() for name in names}) if hook != "qprovider_provider" else None
        assert calls[hook] == {name: name.upper() for name in names}
