"""Run as a script in a fresh process: imports a plugin, lets it announce itself or list, and tells what that did.

Reads an order (JSON) from standard input and prints a report (JSON). Not imported by the other modules.
"""

import json
import sys
from importlib import import_module
from typing import Any

HEAVY = ("qiskit", "numpy", "scipy", "requests", "urllib3", "httpx", "aiohttp", "pandas", "matplotlib", "torch")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system")
_CODE = (".py", ".pyc", ".so", ".pyd")


def main() -> None:  # pragma: no cover  runs in a process of its own
    order = json.load(sys.stdin)
    touched: list[str] = []
    announcing = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in _NETWORK or (announcing and event == "open" and not str(arguments[0]).endswith(_CODE)):
            touched.append(f"{event} {arguments[0]!r}")

    sys.addaudithook(watch)
    module, _, name = order["plugin"].partition(":")
    plugin = import_module(module)
    if name:
        plugin = getattr(plugin, name)
    announcing = True
    spec = plugin.qprovider_provider()
    announcing = False
    report = {"provider": spec.name, "touched": list(touched)}
    if order["list"]:
        report["backends"] = _listed(plugin, spec.name, order["fields"], order["timeout"])
    report["heavy"] = sorted(name for name in HEAVY if name in sys.modules)
    print(json.dumps(report))


def _listed(
    plugin: object, provider: str, fields: dict[str, Any] | None, timeout: float
) -> list[str]:  # pragma: no cover
    import qprovider_core as qp
    from qprovider_core._plugins import registry

    if provider not in {vendor.spec.name for vendor in registry().providers()}:
        qp.register_plugin(plugin, name=f"contract-{provider}")
    with qp.open_account(provider, **(fields or {})) as account:
        answer = account.list_backends(timeout=timeout)
        if answer.errors:
            sys.exit("; ".join(map(str, answer.errors)))
        return sorted(info.name for info in answer)


if __name__ == "__main__":  # pragma: no cover
    main()
