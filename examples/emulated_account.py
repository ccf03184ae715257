"""An account of an emulated IBM Quantum service on this machine, for the examples: no real account and no network.

The environment has the service's addresses while it runs, and an empty folder instead of the home folder, so that
accounts and jobs saved on this machine are neither read nor written.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qprovider_ibm.emulator import Emulator

OURS = ("QPROVIDER_", "QISKIT_IBM_", "IAM_URL", "GLOBAL_")


@contextmanager
def emulated_account(*, key_in_environment: bool, **settings: Any) -> Iterator[Emulator]:
    """Start an emulator (``python -m qprovider_ibm.emulator``), and end it afterwards.

    Args:
        key_in_environment: Whether the API key is found there, too, so that the account opens without saving it.
        settings: What `Emulator` takes.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="qprovider-example-") as folder:
        for name in list(os.environ):
            if name.startswith(OURS):
                del os.environ[name]
        os.environ.update(HOME=folder, USERPROFILE=folder, QPROVIDER_CONFIG_DIR=folder, QPROVIDER_DATA_DIR=folder)
        direct = ",".join(filter(None, ("127.0.0.1", before.get("no_proxy") or before.get("NO_PROXY"))))
        os.environ.update(no_proxy=direct, NO_PROXY=direct)  # a proxy does not lead back to this machine
        try:
            with Emulator(**settings) as emulator:
                variables = emulator.environment()
                if not key_in_environment:
                    del variables["QPROVIDER_IBM_TOKEN"]
                os.environ.update(variables)
                yield emulator
        finally:
            os.environ.clear()
            os.environ.update(before)
