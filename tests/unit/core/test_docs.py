"""The plugin guide and the code say the same."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import qprovider_core
from qprovider_core import errors, hookspecs, records
from qprovider_core._plugins import Registry
from qprovider_core._provider import HOOKS
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
SECTION = GUIDE.partition("\n## Hooks\n")[2].partition("\n## ")[0]
TABLE = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", SECTION, re.MULTILINE)
[BLOCK] = re.findall(r"^```python\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
ROWS = {hook: needed for hook, needed, _ in TABLE}
STUBS = dict(re.findall(r"^(qprovider_\w+)(\(.*\) -> .*)$", BLOCK, re.MULTILINE))


def specified() -> list[str]:
    """The hooks as `hookspecs.py` has them, from top to bottom: its functions that are marked."""
    tree = ast.parse(inspect.getsource(hookspecs))
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    return [one.name for one in functions if any("hookspec" in ast.unparse(mark) for mark in one.decorator_list)]


def signature(hook: str) -> str:
    """From the source, so that nothing of it is lost: kinds of arguments, defaults, the words of the annotations."""
    [function] = ast.parse(inspect.getsource(getattr(hookspecs, hook))).body
    assert isinstance(function, ast.FunctionDef)
    assert function.returns is not None
    return f"({ast.unparse(function.args)}) -> {ast.unparse(function.returns)}"


def test_table_block_and_code_have_the_same_hooks_in_the_same_order() -> None:
    assert list(HOOKS) == specified()
    assert [hook for hook, _, _ in TABLE] == specified()
    assert [line.partition("(")[0] for line in BLOCK.splitlines()] == specified()


@pytest.mark.parametrize("hook", HOOKS)
def test_the_guide_has_every_hook_with_its_exact_signature(hook: str) -> None:
    assert STUBS[hook] == signature(hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_plugin_may_write_a_hook_as_the_guide_has_it(hook: str) -> None:
    """Without defaults, which pluggy would not fill, and with words that a plugin can import from the core."""
    found = inspect.signature(getattr(hookspecs, hook))
    assert {one.kind for one in found.parameters.values()} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert {one.default for one in found.parameters.values()} <= {inspect.Parameter.empty}
    words = set(re.findall(r"\b[A-Z]\w+", STUBS[hook])) - {"Any", "None", "Sequence", "Mapping", "Target"}
    assert words <= set(qprovider_core.__all__)


@pytest.mark.parametrize("hook", HOOKS[2:])
def test_every_hook_of_an_account_may_ask_for_what_all_of_them_may(hook: str) -> None:
    names = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert names[0] == ("credentials" if hook == "qprovider_open_account" else "connection")
    assert names[-2:] == ["account", "deadline"]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_guide_says_whether_a_hook_is_needed(hook: str) -> None:
    assert ROWS[hook].startswith(NEEDED.get(hook, "optional"))


def test_the_guide_has_no_hook_that_is_gone() -> None:
    named = set(re.findall(r"\bqprovider_(?!core|ibm|local|acme)[a-z_]+\b", GUIDE))
    assert named <= set(HOOKS)


def test_the_guide_tells_of_every_field_of_the_announcement() -> None:
    assert [field.name for field in attrs.fields(records.ProviderSpec) if f"`{field.name}`" not in GUIDE] == []


def test_the_links_of_the_guide_lead_somewhere() -> None:
    for place, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", GUIDE):
        file = (ROOT / "docs" / place) if place else ROOT / "docs" / "plugins.md"
        assert file.exists(), place
        titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8") if file.is_file() else "", re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, f"{place}#{anchor}"


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
