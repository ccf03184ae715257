"""Settings: argument, then environment, then default; `settings()` says which one won."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import attrs

from qprovider_core.errors import ConfigurationError, InvalidInputError

CONFIG_DIR = "QPROVIDER_CONFIG_DIR"
DATA_DIR = "QPROVIDER_DATA_DIR"
PLUGINS = "QPROVIDER_PLUGINS"
DISABLE_PLUGINS = "QPROVIDER_DISABLE_PLUGINS"
TIMEOUT = "QPROVIDER_TIMEOUT"
LEDGER = "QPROVIDER_LEDGER"
LEDGER_CIRCUITS = "QPROVIDER_LEDGER_CIRCUITS"
SETTLE_TIME = "QPROVIDER_SETTLE_TIME"
CACHE = "QPROVIDER_CACHE"
CACHE_DIR = "QPROVIDER_CACHE_DIR"

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_CIRCUITS_MIB = 16.0
LEDGER_FILE = "jobs.sqlite3"
_OFF = frozenset({"off", "no", "none", "false", "0"})


@attrs.frozen(kw_only=True)
class Setting:
    """One setting as it stands.

    Attributes:
        name: What it is called here.
        value: What holds.
        source: What said so: ``argument``, ``environment (VARIABLE)`` or ``default``.
    """

    name: str
    value: Any
    source: str


def variable(name: str) -> str | None:
    """The text of an environment variable; None when it is unset or empty."""
    return os.environ.get(name) or None


def config_dir() -> Path:
    """Where the accounts file lies. It need not exist."""
    return _directory(CONFIG_DIR, "user_config_dir")


def data_dir() -> Path:
    """Where the job record lies. It need not exist."""
    return _directory(DATA_DIR, "user_data_dir")


def cache_dir() -> Path:
    """Where answers about backends are kept, if they are kept on disk. It need not exist."""
    return _directory(CACHE_DIR, "user_cache_dir")


def cache_mode() -> str:
    """Where answers about backends are remembered: ``memory``, ``disk`` (and in memory) or ``off``.

    Raises:
        ConfigurationError: The environment variable says something else.
    """
    text = (variable(CACHE) or "memory").strip().lower()
    if text in _OFF:
        return "off"
    if text not in ("memory", "disk"):
        raise ConfigurationError(
            f"The environment variable {CACHE} is {text!r}.",
            why="It must be memory, disk or off.",
            hint="Set it to disk to keep answers from one process to the next, or unset it.",
        )
    return text


def plugin_allowlist() -> frozenset[str] | None:
    """The only plugins to load, by the name of their entry point; None for all."""
    return _names(PLUGINS) or None


def plugin_blocklist() -> frozenset[str]:
    """Plugins that are not even imported."""
    return _names(DISABLE_PLUGINS)


def timeout_s(argument: float | None = None) -> float:
    """How long a call may take, in seconds, > 0 and finite.

    Raises:
        InvalidInputError: The argument is not such a number.
        ConfigurationError: The environment variable is not.
    """
    if argument is not None:
        if isinstance(argument, bool) or not isinstance(argument, int | float) or not _positive(argument):
            raise InvalidInputError(
                f"A timeout is a positive, finite number of seconds, not {argument!r}.",
                hint="Leave it out for the default.",
            )
        return float(argument)
    text = variable(TIMEOUT)
    if text is None:
        return DEFAULT_TIMEOUT_S
    return _number(TIMEOUT, text, "a positive, finite number of seconds", DEFAULT_TIMEOUT_S)


def ledger_path(argument: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of the ledger, which need not exist; None when it is switched off.

    Args:
        argument: A file, a directory to keep it in, or ``"off"``.
    """
    text = os.fspath(argument) if argument is not None else variable(LEDGER)
    if text is None:
        return data_dir() / LEDGER_FILE
    if text.strip().lower() in _OFF:
        return None
    path = Path(os.path.abspath(os.path.expanduser(text)))
    return path / LEDGER_FILE if path.is_dir() else path


def ledger_circuits_bytes() -> int:
    """How large a job's circuits may be, packed, to be kept in the ledger; 0 for none at all.

    Raises:
        ConfigurationError: The environment variable is neither ``off`` nor a number of MiB.
    """
    text = variable(LEDGER_CIRCUITS)
    if text is None:
        return int(DEFAULT_CIRCUITS_MIB * 2**20)
    if text.strip().lower() in _OFF:
        return 0
    return int(_number(LEDGER_CIRCUITS, text, "a positive number of MiB, or off", DEFAULT_CIRCUITS_MIB) * 2**20)


def settle_time_s(declared: float) -> float:
    """How long a vendor may not list a job yet whose answer was lost, in seconds: what its plugin declares, unless
    the environment says otherwise (for a service that is slower, or a test's that is not).

    Raises:
        ConfigurationError: The environment variable is no number of at least 0.
    """
    text = variable(SETTLE_TIME)
    if text is None or text.strip() == "0":
        return declared if text is None else 0.0
    return _number(SETTLE_TIME, text, "a finite number of seconds of at least 0", declared)


def settings(*, timeout: float | None = None) -> tuple[Setting, ...]:
    """Every setting with its value and source; `timeout` is the argument that a caller gave, if any."""
    answers = (
        ("config_dir", CONFIG_DIR, config_dir()),
        ("data_dir", DATA_DIR, data_dir()),
        ("ledger", LEDGER, ledger_path() or "off"),
        ("cache", CACHE, cache_mode()),
        ("cache_dir", CACHE_DIR, cache_dir()),
        ("plugins", PLUGINS, plugin_allowlist()),
        ("disabled plugins", DISABLE_PLUGINS, plugin_blocklist()),
    )
    found = [
        Setting(name=name, value=value, source=_source(setting_variable)) for name, setting_variable, value in answers
    ]
    source = "argument" if timeout is not None else _source(TIMEOUT)
    return (*found, Setting(name="timeout_s", value=timeout_s(timeout), source=source))


def _source(name: str) -> str:
    return f"environment ({name})" if variable(name) else "default"


def _number(name: str, text: str, wanted: str, example: float) -> float:
    """The positive, finite number that an environment variable holds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not _positive(number):
        raise ConfigurationError(
            f"The environment variable {name} is {text!r}.",
            why=f"It must be {wanted}.",
            hint=f"Set it to {example:g}, for instance, or unset it.",
        )
    return number


def _positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


def _names(name: str) -> frozenset[str]:
    return frozenset(part.strip() for part in (variable(name) or "").split(",") if part.strip())


def _directory(name: str, default: str) -> Path:
    text = variable(name)
    if text is None:
        import platformdirs  # late: not needed when the variable is set

        text = str(getattr(platformdirs, default)("qprovider", appauthor=False))
    return Path(os.path.abspath(os.path.expanduser(text)))
