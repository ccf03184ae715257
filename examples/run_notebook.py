"""Run ``tutorial.ipynb`` from top to bottom in a fresh kernel of this interpreter, and tell whether every cell did.

    python examples/run_notebook.py            # only run it
    python examples/run_notebook.py --write    # and put the outputs into the file

It needs nbclient and ipykernel beside what the tutorial needs. Nothing of the user's own Jupyter is read or written.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")
_SECONDS = 300  # for one cell


def _short_folder() -> str | None:
    """Where the kernel's sockets go: some systems take names of a hundred bytes at most. None: the usual place."""
    usual = tempfile.gettempdir()
    return "/tmp" if os.name == "posix" and len(os.fsencode(usual)) > 50 else None  # noqa: S108  a folder of ours in it


def executed(path: Path) -> Any:
    """The notebook with fresh outputs; what changes with every run and tells nothing (times of cells) is left out.

    Raises:
        CellExecutionError: A cell failed that is not marked as one that shows an error.
    """
    with tempfile.TemporaryDirectory(prefix="qprovider-notebook-", dir=_short_folder()) as folder:
        os.environ.update(JUPYTER_PLATFORM_DIRS="1", JUPYTER_NO_CONFIG="1", IPYTHONDIR=folder, JUPYTER_DATA_DIR=folder)
        import nbformat  # late: reads these variables
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_core.utils import run_sync
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # so there is one: that of this interpreter
            connection_file=os.path.join(folder, "kernel.json"),
            transport="ipc" if os.name == "posix" else "tcp",  # sockets that nobody else can open
        )
        place = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(
            notebook, km=manager, timeout=_SECONDS, resources=place, record_timing=False, coalesce_streams=True
        )
        try:
            client.execute()
        finally:
            run_sync(manager.shutdown_kernel)()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tutorial's notebook from top to bottom.")
    parser.add_argument("--write", action="store_true", help="put the outputs into the notebook")
    parser.add_argument("--output", type=Path, help="write the notebook with its outputs to this file instead")
    options = parser.parse_args()
    notebook = executed(NOTEBOOK)
    import nbformat

    target = options.output or (NOTEBOOK if options.write else None)
    if target is not None:
        target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    print(f"{len(ran)} cells ran" + (f", outputs are in {target.name}" if target else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
