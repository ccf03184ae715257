"""pluggy's manager, with the core's hooks in it."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any

import pluggy

from qprovider_core import hookspecs

PREFIX = f"{hookspecs.PROJECT}_"
MARK = f"{hookspecs.PROJECT}_impl"  # the attribute that `hookimpl` puts on a function


class _Manager(pluggy.PluginManager):
    """Looks closely only at what may be a hook: a plugin has many more names, and there are many plugins."""

    def register(self, plugin: object, name: str | None = None) -> str | None:
        self._marked = _marked(plugin)
        return super().register(plugin, name)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if name.startswith(PREFIX) or name in self._marked:
            return super().parse_hookimpl_opts(plugin, name)
        return None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return super().parse_hookspec_opts(module_or_class, name) if name.startswith(PREFIX) else None


def _marked(plugin: object) -> set[str]:
    """Names of what `hookimpl` marked, misspelt ones too; no code of the plugin's runs."""
    kinds = plugin.__mro__ if isinstance(plugin, type) else type(plugin).__mro__
    places = [getattr(plugin, "__dict__", {}), *(vars(kind) for kind in kinds if kind is not object)]
    found = set()
    for place in places:
        for name, value in list(place.items()):
            function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if isinstance(function, FunctionType) and MARK in function.__dict__:
                found.add(name)
    return found


def make_manager(plugins: Iterable[tuple[str, object]]) -> pluggy.PluginManager:
    """A manager that knows the hooks, with these plugins in it."""
    manager = _Manager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins:
        manager.register(plugin, name=name)
        manager.check_pending()  # a misspelt or too new hook shows here
    return manager
