"""What pytest learns from this package: ``pytest --qprovider-contract acme`` runs the contract tests on an installed
plugin, without a test file.

Pytest loads this in every run of every environment that has the package: it imports nothing until it is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_PLACE = Path(__file__).with_name("testing") / "_installed.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("qprovider", "contract tests of qprovider's plugins")
    group.addoption(
        "--qprovider-contract",
        action="append",
        default=[],
        metavar="NAME",
        help="run the contract tests on this installed plugin, without a test file; may be given several times",
    )
    group.addoption(
        "--qprovider-declare",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="declare what it cannot do, or where to run, such as supports_cancel=false or backend_name=quiet; adds to "
        "what the plugin declares itself; may be given several times",
    )
    group.addoption(
        "--qprovider-account",
        metavar="NAME",
        help="the saved account to run the contract tests with; by default the provider's default account",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--qprovider-contract"):
        _refuse_what_goes_with_it(config)
        return
    from qprovider_core.testing._asked import load  # late: whoever asks for it pays for it

    load(config)
    here = [*config.args] if config.args_source is config.ArgsSource.ARGS else []
    config.args[:] = [*here, str(_PLACE)]


def _refuse_what_goes_with_it(config: pytest.Config) -> None:
    for option in ("--qprovider-declare", "--qprovider-account"):
        if config.getoption(option):
            import pytest

            raise pytest.UsageError(f"{option} goes with --qprovider-contract NAME, which says on what plugin")


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not config.getoption("--qprovider-contract"):
        return []
    from qprovider_core.testing._asked import header

    return header(config)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if module_path != _PLACE or not parent.config.getoption("--qprovider-contract"):
        return None
    from qprovider_core.testing._installed import ContractModule

    module: pytest.Module = ContractModule.from_parent(parent, path=module_path, nodeid="qprovider-contract")
    return module
