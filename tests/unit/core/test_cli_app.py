"""The group of commands: lazy, and calm about everything that can go wrong."""

import logging
import os
import sys
from collections.abc import Callable
from importlib import import_module

import click
import pytest
from click.testing import CliRunner, Result

import qprovider_core as qp
from qprovider_core import _plugins, hookimpl
from qprovider_core.cli import _errors, main
from qprovider_core.cli._app import COMMANDS, app
from qprovider_core.errors import (
    InvalidInputError,
    NoMatchingBackendError,
    TransportError,
    UnknownBackendError,
    WhereError,
)
from qprovider_core.records import BackendInfo, ProviderSpec
from qprovider_core.secret import Secret

Call = Callable[..., Result]


class Acme:
    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="acme", title="Acme Quantum")

    @hookimpl
    def qprovider_open_account(self) -> str:
        return "connection"

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [BackendInfo(name="one", num_qubits=5), BackendInfo(name="two")]


class Other(Acme):
    """The same vendor's backends under another provider."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="other", title="Other")

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [BackendInfo(name="one")]


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())


@pytest.fixture
def call() -> Call:
    return lambda *arguments, **kwargs: CliRunner().invoke(app, list(arguments), prog_name="qprovider", **kwargs)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `qprovider plugins` raise."""

    def arm(exc: BaseException) -> None:
        def plugins() -> None:
            raise exc

        monkeypatch.setattr(qp, "plugins", plugins, raising=False)

    return arm


def test_the_short_helps_agree_with_those_of_the_commands() -> None:
    with click.Context(app) as ctx:
        for name, (_, text) in COMMANDS.items():
            command = app.get_command(ctx, name)
            assert command is not None
            assert command.get_short_help_str(200) == text


def test_commands_are_listed_in_order_and_documented(call: Call) -> None:
    assert list(COMMANDS) == sorted(COMMANDS)
    shown = call("--help").stdout
    assert all(f"  {name} " in shown and text in shown for name, (_, text) in COMMANDS.items())
    assert "Exit codes:" in shown


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help(call: Call, name: str) -> None:
    result = call(name, "-h")
    assert result.exit_code == 0
    assert COMMANDS[name][1] in result.stdout


def test_the_version_is_told_with_and_without_click(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--version").stdout == f"qprovider {qp.__version__}\n"
    monkeypatch.setattr(sys, "argv", ["qprovider", "--version"])
    main()
    assert capsys.readouterr().out == f"qprovider {qp.__version__}\n"


def test_main_runs_the_group(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: qprovider ")


def test_the_module_can_be_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--version"])
    import_module("qprovider_core.cli.__main__")
    assert capsys.readouterr().out.startswith("qprovider ")


def test_an_unknown_command_is_wrong_usage_and_near_ones_are_named(call: Call) -> None:
    result = call("backnds")
    assert result.exit_code == 2
    assert "Did you mean 'backends'?" in result.stderr
    assert "Did you mean" not in call("xyz").stderr
    assert call("xyz").exit_code == 2


def test_only_known_names_are_imported() -> None:
    with click.Context(app) as ctx:
        assert app.get_command(ctx, "_errors") is None


def test_an_unknown_option_is_wrong_usage(call: Call) -> None:
    assert call("--nonsense").exit_code == 2
    assert call("plugins", "--nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (UnknownBackendError("x", ["y"]), 2),
        (WhereError("The query text cannot be read."), 2),
        (InvalidInputError("no"), 1),
        (TransportError("no"), 1),
        (NoMatchingBackendError("none", reasons={"a": "b"}), 1),
        (ValueError("no"), 1),
    ],
)
def test_exit_codes(call: Call, failing: Callable[[BaseException], None], exc: Exception, code: int) -> None:
    failing(exc)
    result = call("plugins")
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_error_is_one_block_with_what_why_and_hint(call: Call, failing: Callable[[BaseException], None]) -> None:
    failing(TransportError("It broke.", why="  a: down\nno network", hint="Try later."))
    assert call("plugins").stderr == "Error: It broke.\n  a: down\n  no network\n  Try later.\n"


def test_an_error_that_nobody_meant_asks_for_a_report(call: Call, failing: Callable[[BaseException], None]) -> None:
    failing(KeyError("odd"))
    lines = call("plugins").stderr.splitlines()
    assert lines[0] == "Error: KeyError: 'odd'"
    assert "qprovider about" in lines[-1]


def test_an_error_of_the_system_is_told_in_its_words(call: Call, failing: Callable[[BaseException], None]) -> None:
    failing(PermissionError(13, "Permission denied", "/some/file"))
    result = call("plugins")
    assert (result.exit_code, result.stderr) == (1, "Error: [Errno 13] Permission denied: '/some/file'\n")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_debug_shows_the_traceback_without_secrets(
    call: Call, failing: Callable[[BaseException], None], way: str
) -> None:
    token = Secret("very-secret-token").reveal()
    failing(RuntimeError(f"refused {token} \x1b[31m"))
    asked = {"option": ("--debug", "plugins"), "variable": ("plugins",)}[way]
    result = call(*asked, env={"QPROVIDER_DEBUG": "1" if way == "variable" else ""})
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "RuntimeError: refused ********" in result.stderr
    assert token not in result.output
    assert "\x1b" not in result.output


def test_an_interrupt_is_told_calmly(call: Call, failing: Callable[[BaseException], None]) -> None:
    for exc in (KeyboardInterrupt(), click.Abort()):
        failing(exc)
        result = call("plugins")
        assert result.exit_code == 130
        assert result.stderr == "Interrupted.\n"


def test_a_broken_pipe_is_silent(call: Call, failing: Callable[[BaseException], None]) -> None:
    failing(BrokenPipeError())
    result = call("plugins")
    assert (result.exit_code, result.output) == (0, "")


def test_after_a_broken_pipe_output_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        _errors.drop_output()
        broken.write("x" * 100_000)
        broken.flush()
        monkeypatch.undo()


def test_warnings_of_the_core_become_notes(capsys: pytest.CaptureFixture[str]) -> None:
    _errors.show_log_messages()
    _errors.show_log_messages()
    token = Secret("another-secret").reveal()
    logging.getLogger("qprovider.anything").warning("careful,\n%s \x1b[31m", token)
    logging.getLogger("qprovider.anything").info("not this")
    shown = capsys.readouterr().err
    assert shown.count("Note: ") == 1
    assert token not in shown
    assert "\x1b" not in shown


# --------------------------------------------------------------------------------------------------- plugins


def test_plugins_are_listed_in_a_table(call: Call) -> None:
    qp.register_plugin(Acme(), name="acme")
    result = call("plugins")
    assert result.exit_code == 0
    head, row = result.stdout.splitlines()
    assert head.split()[:2] == ["plugin", "provider"]
    assert row.split()[:4] == ["acme", "acme", "Acme", "Quantum"]
    assert row.split()[-1] == "active"


def test_plugins_left_out_are_told_with_reason_and_hint(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        qp,
        "plugins",
        lambda: [
            _plugins.PluginInfo(name="bad", status="left out", reason="it raised \x1b[31m", hint="Upgrade it."),
            _plugins.PluginInfo(name="off", status="blocked"),
        ],
        raising=False,
    )
    result = call("plugins")
    assert result.stderr.splitlines()[0].startswith("bad is left out: it raised")
    assert result.stderr.splitlines()[1:] == ["  Upgrade it.", "off is blocked: no reason given"]
    assert "\x1b" not in result.output


def test_what_needs_a_package_is_told_with_what_to_type(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"kind": "vendor", "status": "needs a package"}
    infos = [
        _plugins.PluginInfo(name="acme", reason="a is not installed", hint="Install it: pip install 'a>=2'", **needs),
        _plugins.PluginInfo(
            name="b", reason="b 1 is installed, not b>=2", hint="Install it: pip install 'b>=2'", **needs
        ),
    ]
    monkeypatch.setattr(qp, "plugins", lambda: infos, raising=False)
    assert call("plugins").stderr.splitlines() == [
        "To use one that needs a package:",
        "  acme  pip install 'a>=2'",
        "  b     b 1 is installed, not b>=2",
        "  b     pip install 'b>=2'",
    ]


def test_plugins_as_json(call: Call) -> None:
    import json

    qp.register_plugin(Acme(), name="acme")
    (plugin,) = json.loads(call("plugins", "--json").stdout)["plugins"]
    assert (plugin["name"], plugin["status"], plugin["kind"]) == ("acme", "active", "vendor")


def test_no_plugin_at_all_says_what_to_install(call: Call) -> None:
    assert "pip install" in call("plugins").stderr


# ------------------------------------------------------------------------------------------------------ about


def test_about_tells_the_versions_and_plugins(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", "/somewhere/else")
    qp.register_plugin(Acme(), name="acme")
    shown = call("about").stdout
    facts = dict(line.split(maxsplit=1) for line in shown.splitlines() if len(line.split()) > 1)
    assert facts["qprovider"] == qp.__version__
    assert facts["qiskit"][0].isdigit()
    assert facts["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert facts["configuration"] == "/somewhere/else"
    assert facts["acme"] == "active"


def test_about_says_what_is_not_installed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert "not installed" in call("about").stdout


# ------------------------------------------------------------------------------------------------- completion


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete ")])
def test_the_completion_script_is_printed(call: Call, shell: str, sign: str) -> None:
    result = call("completion", shell)
    assert result.exit_code == 0
    assert sign in result.stdout
    assert "_QPROVIDER_COMPLETE" in result.stdout


def complete(words: str, number: int) -> set[str]:
    environment = {"_QPROVIDER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    result = CliRunner().invoke(app, [], prog_name="qprovider", env=environment)
    return {line.partition(",")[2] for line in result.stdout.splitlines() if line}


def test_names_of_commands_are_completed() -> None:
    assert complete("qprovider back", 1) == {"backend", "backends"}


def test_names_of_backends_are_completed_bare_where_they_are_unique() -> None:
    qp.register_plugin(Acme(), name="acme")
    assert complete("qprovider backend ", 2) == {"one", "two", "acme:one", "acme:two"}
    qp.register_plugin(Other(), name="other")
    assert complete("qprovider backend ", 2) == {"two", "acme:one", "acme:two", "other:one"}
    assert complete("qprovider run x.qasm --backend t", 4) == {"two"}


def test_names_of_providers_are_completed() -> None:
    qp.register_plugin(Acme(), name="acme")
    assert complete("qprovider accounts add a", 3) == {"acme"}


def test_completion_shows_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_backends(**criteria: object) -> None:
        raise TransportError("down")

    monkeypatch.setattr(qp, "list_backends", list_backends, raising=False)
    assert complete("qprovider backend ", 2) == set()
