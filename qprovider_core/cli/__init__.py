"""The command `qprovider`: it parses, calls the core and prints; it decides nothing.

Starting up imports click and nothing else. Commands are loaded when they are called, rich when a table is
printed on a terminal, Qiskit when a circuit runs.
"""

import gc
import sys

from qprovider_core import __version__


def main() -> None:
    """Entry point of the console script."""
    try:
        if sys.argv[1:] == ["--version"]:  # not worth click's import
            print(f"qprovider {__version__}", flush=True)
            return
        gc.set_threshold(50_000)  # what is imported stays: looking through it again and again frees nothing
        from qprovider_core.cli._app import app  # late: click is slow to import

        app(prog_name="qprovider")
    except KeyboardInterrupt:  # while click was being imported
        sys.exit(130)
    except BrokenPipeError:  # nobody reads the version
        from qprovider_core.cli._errors import drop_output

        drop_output()
    finally:
        gc.freeze()  # the interpreter, which ends now, need not look for garbage once more
