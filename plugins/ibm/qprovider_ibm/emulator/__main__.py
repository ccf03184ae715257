"""``python -m qprovider_ibm.emulator``."""

from __future__ import annotations

import sys

from qprovider_ibm.emulator._needs import INSTALL, missing_module
from qprovider_ibm.emulator._settings import settings_from_arguments


def main() -> None:
    settings = settings_from_arguments(sys.argv[1:])
    missing = missing_module()
    if missing is not None:
        raise SystemExit(f"The emulator needs {missing}: {INSTALL}")
    from qprovider_ibm.emulator._server import run  # late: --help needs no aiohttp

    try:
        run(settings)
    except OSError as exc:
        raise SystemExit(f"The emulator cannot listen on port {settings.port}: {exc}") from None


if __name__ == "__main__":
    main()
