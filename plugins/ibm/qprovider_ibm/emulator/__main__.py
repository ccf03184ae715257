"""``python -m qprovider_ibm.emulator``."""

from __future__ import annotations

import sys

from qprovider_ibm.emulator._settings import settings_from_arguments


def main() -> None:
    settings = settings_from_arguments(sys.argv[1:])
    try:
        from qprovider_ibm.emulator._server import run  # late: --help needs no aiohttp
    except ImportError as exc:
        raise SystemExit(f"The emulator needs {exc.name or exc}: pip install 'qprovider-ibm[emulator]'") from None
    try:
        run(settings)
    except OSError as exc:
        raise SystemExit(f"The emulator cannot listen on port {settings.port}: {exc}") from None


if __name__ == "__main__":
    main()
