"""A vendor's own class of handles, by its import string."""

from __future__ import annotations

import importlib

from qprovider_core.errors import PluginError, failure_text


def vendor_class(path: str | None, base: type) -> type:
    """The class at ``package.module:Class``, which must extend `base`; `base` itself when there is no path.

    Raises:
        PluginError: There is no such class, or it is of another kind.
    """
    if path is None:
        return base
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as exc:  # the module is the vendor's: it may raise anything
        raise PluginError(f"The class {path!r} cannot be had: {failure_text(exc)}.") from exc
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(f"{path!r} is not a subclass of {base.__name__}.")
    return found
