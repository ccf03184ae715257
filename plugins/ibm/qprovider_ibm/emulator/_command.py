"""``qprovider emulate ibm``: the emulator in the foreground, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qprovider_core.errors import MissingPackageError
from qprovider_ibm.emulator import _addresses
from qprovider_ibm.emulator._needs import INSTALL, missing_module
from qprovider_ibm.emulator._settings import settings_of, settings_parser

_DISTRIBUTIONS = {"qiskit_aer": "qiskit-aer"}
# How a variable is set in each shell, and how a quote is written inside of quotes.
_SHELLS = {
    "sh": ("export {name}='{value}'", {"'": "'\\''"}),
    "fish": ("set -gx {name} '{value}'", {"\\": "\\\\", "'": "\\'"}),
    "powershell": ("$env:{name} = '{value}'", {"'": "''"}),
}
_DESCRIPTION = (
    "An IBM Quantum service on 127.0.0.1, to try the plugin and to test code that uses it, without an account. It"
    " prints the lines that point a shell at it, and ends with Ctrl-C."
)


def emulate(arguments: Sequence[str]) -> int:
    """Run the emulator until Ctrl-C.

    Args:
        arguments: Of the command line, behind ``qprovider emulate ibm``.

    Returns:
        The exit code.
    Raises:
        MissingPackageError: The extra is not installed.
        SystemExit: The arguments are wrong, or help was asked for, or the port is taken.
    """
    parser = settings_parser("qprovider emulate ibm", _DESCRIPTION)
    parser.add_argument(
        "--shell",
        choices=_SHELLS,
        default="sh",
        help="whose commands to print (default sh, which is bash and zsh, too)",
    )
    found = dict(vars(parser.parse_args(list(arguments))))
    shell = found.pop("shell")
    settings = settings_of(parser, found)
    missing = missing_module()
    if missing is not None:
        package = _DISTRIBUTIONS.get(missing, missing)
        raise MissingPackageError(
            f"The emulator of IBM Quantum needs {package}.",
            package=package,
            wanted=package,
            provider="ibm",
            title="IBM Quantum",
            hint=f"Install what it needs: {INSTALL}",
        )
    from qprovider_ibm.emulator._server import run  # late: aiohttp is slow to import

    def announce(base: str, instances: Mapping[str, str]) -> None:
        print("\n".join(_lines(base, settings.api_keys[0], instances, shell)), flush=True)

    try:
        run(settings, announce)
    except OSError as exc:
        raise SystemExit(f"The emulator cannot listen on port {settings.port}: {exc}") from None
    return 0


def _lines(base: str, api_key: str, instances: Mapping[str, str], shell: str) -> list[str]:
    """What is printed: comments, and commands to paste."""
    place, crn = next(iter(instances.items()))
    # No QISKIT_IBM_* variables: the plugin reads those, too, and both blocks may be pasted into one shell.
    fields = {
        "channel": "ibm_quantum_platform",
        "token": api_key,
        "url": _addresses.runtime_url(base),
        "instance": crn,
    }
    service = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    return [
        f"# IBM Quantum, emulated, at {base} until Ctrl-C. Instances: {', '.join(instances)}.",
        "# Paste this in another terminal:",
        *(_set(name, value, shell) for name, value in _addresses.environment(base, api_key).items()),
        "# and see what is there:  qprovider backends --provider ibm",
        f"# For qiskit-ibm-runtime, here with the instance {place}: paste this, too, and in Python",
        f"#   service = QiskitRuntimeService({service})",
        *(_set(name, value, shell) for name, value in _addresses.runtime_environment(base).items()),
    ]


def _set(name: str, value: str, shell: str) -> str:
    form, escapes = _SHELLS[shell]
    return form.format(name=name, value="".join(escapes.get(character, character) for character in value))
