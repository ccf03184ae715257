"""`qprovider about`."""

from __future__ import annotations

import click

from qprovider_core.cli._output import say, say_facts


def _cache_text() -> str:
    """Where answers about backends are remembered."""
    from qprovider_core import config  # late: help needs no core
    from qprovider_core.errors import ConfigurationError

    try:
        mode = config.cache_mode()
    except ConfigurationError as exc:
        return exc.what
    return f"on disk, {config.cache_dir()}" if mode == "disk" else {"memory": "in memory", "off": "off"}[mode]


def _ledger_text() -> str:
    """Where jobs are written down, and how its changes are journalled."""
    from qprovider_core.ledger import ledger_in_use  # late: help needs none of these
    from qprovider_core.ledger._file import LedgerFile

    ledger = ledger_in_use()
    if ledger is None:
        return "not written down"
    file = LedgerFile(ledger.path)
    return f"{file.path} ({f'journal: {file.journal}' if file.exists else 'none yet'})"


@click.command()
def command() -> None:
    """Show the versions in use, for a bug report."""
    import platform  # late: help needs none of these
    from importlib.metadata import PackageNotFoundError, version

    import qprovider_core as qp
    from qprovider_core import config

    def installed(distribution: str) -> str | None:
        try:
            return version(distribution)
        except PackageNotFoundError:
            return None

    say_facts(
        [
            ("qprovider", qp.__version__),
            *((name, installed(name) or "not installed") for name in ("qiskit", "qiskit-aer", "qiskit-ibm-runtime")),
            *((name, installed(name)) for name in ("attrs", "cattrs", "click", "pluggy", "requests", "rich")),
            ("python", f"{platform.python_implementation()} {platform.python_version()}"),
            ("platform", platform.platform()),
            ("configuration", config.config_dir()),
            ("jobs", _ledger_text()),
            ("cache", _cache_text()),
        ]
    )
    say("")
    say("plugins")
    say_facts(
        [
            (f"  {info.name}", " ".join(str(p) for p in (info.distribution, info.version, info.status) if p))
            for info in qp.plugins()
        ]
    )
