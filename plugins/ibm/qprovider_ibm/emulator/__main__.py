"""``python -m qprovider_ibm.emulator``."""

from __future__ import annotations

import importlib.util
import sys

from qprovider_ibm.emulator._settings import settings_from_arguments


def main() -> None:
    settings = settings_from_arguments(sys.argv[1:])
    try:
        from qprovider_ibm.emulator._server import run  # late: --help needs no aiohttp
    except ImportError as exc:
        raise _incomplete(exc.name or str(exc)) from None
    try:
        found = importlib.util.find_spec("qiskit_aer")  # the workers' need: slow to import, and not used here
    except ImportError:
        found = None
    if found is None:
        raise _incomplete("qiskit_aer")
    try:
        run(settings)
    except OSError as exc:
        raise SystemExit(f"The emulator cannot listen on port {settings.port}: {exc}") from None


def _incomplete(missing: str) -> SystemExit:
    return SystemExit(f"The emulator needs {missing}: pip install 'qprovider-ibm[emulator]'")


if __name__ == "__main__":
    main()
