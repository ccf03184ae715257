"""Whether the distributions that a plugin needs are installed: by their metadata, nothing is imported."""

from __future__ import annotations

import re

from qprovider_core._installed import installed_version
from qprovider_core.errors import MissingPackageError
from qprovider_core.records import ProviderSpec

INSTALL = "Install it: "  # what to type follows

# The name in front of a requirement: what follows is a version, an extra or a marker.
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def what_is_missing(spec: ProviderSpec, *, versions: bool = True) -> MissingPackageError | None:
    """What the provider needs and is not installed, or is of another version; says how to install it.

    Args:
        versions: Whether to look at versions, too, which costs the import of what compares them.
    Raises:
        ValueError: A requirement is not of the form that pip takes.
    """
    for wanted in spec.requires:
        match = _NAME.match(wanted)
        if match is None:
            raise ValueError(f"{wanted!r} is no requirement such as 'acme-client>=2'")
        name = match[1]
        installed = installed_version(name)
        if installed is None:
            return _missing(spec, wanted, name, None)
        if versions and match.end() != len(wanted) and not _allows(wanted, installed):
            return _missing(spec, wanted, name, installed)
    return None


def _allows(wanted: str, installed: str) -> bool:
    from packaging.requirements import Requirement  # late: most plugins need no other package

    requirement = Requirement(wanted)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True  # not needed on this Python or this system
    return requirement.specifier.contains(installed, prereleases=True)


def _missing(spec: ProviderSpec, wanted: str, name: str, installed: str | None) -> MissingPackageError:
    every = " ".join(f"'{one}'" for one in spec.requires)
    found = f"{name} is not installed" if installed is None else f"{name} {installed} is installed, not {wanted}"
    return MissingPackageError(
        f"{spec.title} cannot be used yet: {found}.",
        package=name,
        wanted=wanted,
        installed=installed,
        provider=spec.name,
        title=spec.title,
        hint=f"{INSTALL}pip install {every}",
    )
