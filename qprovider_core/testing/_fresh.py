"""Run as a script in a fresh process: imports a plugin, lets it do something, tells what that did, and ends.

Reads an order (JSON) from standard input and prints a report (JSON). Imports nothing that the plugin may not import.
"""

import json
import os
import sys
import threading
import time
from functools import reduce
from importlib import import_module
from typing import Any

HEAVY = ("qiskit", "numpy", "scipy", "requests", "urllib3", "httpx", "aiohttp", "pandas", "matplotlib", "torch")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system")
_CODE = (".py", ".pyc", ".so", ".pyd")
STUCK = 75  # the exit code of a process that had to be ended
LEAVING_S = 10.0  # what it may take to end by itself
_open: list[Any] = []  # accounts, which nobody closes: a process must be able to end all the same


def main() -> None:  # pragma: no cover  runs in a process of its own
    order = json.load(sys.stdin)
    touched: list[str] = []
    announcing = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in _NETWORK or (announcing and event == "open" and not str(arguments[0]).endswith(_CODE)):
            touched.append(f"{event} {arguments[0]!r}")

    sys.addaudithook(watch)
    module, _, name = order["plugin"].partition(":")
    plugin = reduce(getattr, filter(None, name.split(".")), import_module(module))
    if isinstance(plugin, type):
        plugin = plugin()
    announcing = True
    spec = plugin.qprovider_provider()
    announcing = False
    report = {"provider": spec.name, "touched": list(touched)}
    if order["what"] == "list":
        report["backends"] = _listed(_account(plugin, spec.name, order["fields"]), order["timeout"])
    if order["what"] == "retrieve":
        report |= _retrieved(_account(plugin, spec.name, order["fields"]), order["job"], order["timeout"])
    report["heavy"] = sorted(name for name in HEAVY if name in sys.modules)
    report["threads"] = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    print(json.dumps(report), flush=True)
    threading.Thread(target=_end, daemon=True).start()


def _end() -> None:  # pragma: no cover  as above
    """End a process that something keeps from ending."""
    time.sleep(LEAVING_S)
    os._exit(STUCK)


def _account(plugin: object, provider: str, fields: dict[str, Any]) -> Any:  # pragma: no cover  as above
    import qprovider_core as qp
    from qprovider_core._plugins import registry

    if provider not in {vendor.spec.name for vendor in registry().providers()}:
        qp.register_plugin(plugin, name=f"contract-{provider}")
    _open.append(qp.open_account(provider, **fields))
    return _open[-1]


def _listed(account: Any, timeout: float) -> list[str]:  # pragma: no cover  as above
    answer = account.list_backends(timeout=timeout)
    if answer.errors:
        sys.exit("; ".join(map(str, answer.errors)))
    return sorted(info.name for info in answer)


def _retrieved(account: Any, job: dict[str, Any], timeout: float) -> dict[str, Any]:  # pragma: no cover  as above
    found = account.retrieve_job(job["id"], instance=job["instance"])
    return {"id": found.job_id(), "counts": dict(found.result(timeout=timeout).get_counts())}


if __name__ == "__main__":  # pragma: no cover
    main()
