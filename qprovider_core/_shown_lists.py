"""Lists of records that are plain lists everywhere but in a notebook, which shows them as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qprovider_core._account_store import SavedAccount
    from qprovider_core._lists import QueryError
    from qprovider_core._plugin_loading import PluginInfo


class AccountList(list["SavedAccount"]):
    """Saved accounts."""

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_lists import accounts_html  # late: only notebooks need it

        return accounts_html(self)


class PluginList(list["PluginInfo"]):
    """Plugins, those that cannot be used, too."""

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_lists import plugins_html  # late: only notebooks need it

        return plugins_html(self)


class ErrorList(list["QueryError"]):
    """Who did not answer, and why."""

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_lists import problems_html  # late: only notebooks need it

        return problems_html(self)
