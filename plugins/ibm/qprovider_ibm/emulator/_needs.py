"""What the emulator needs beside the plugin."""

from __future__ import annotations

import importlib.util

INSTALL = "pip install 'qprovider-ibm[emulator]'"


def missing_module() -> str | None:
    """A module that is not there, or that cannot be loaded; None when all are."""
    try:
        import aiohttp  # noqa: F401  # only its server is slow to import
    except ImportError as exc:
        return exc.name or "aiohttp"
    try:
        found = importlib.util.find_spec("qiskit_aer")  # the workers' need: slow to import, and not used here
    except ImportError:
        found = None
    return "qiskit_aer" if found is None else None
