"""What pytest collects for ``pytest --qprovider-contract acme``: a class of contract tests for each plugin."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from qprovider_core._account import Account
from qprovider_core.testing._asked import contracts


class ContractModule(pytest.Module):
    """Collected in place of this file."""

    def _getobj(self) -> ModuleType:
        asked = {one.tests: one for one in self.config.stash[contracts]}

        @pytest.fixture(scope="class")
        def account(request: pytest.FixtureRequest) -> Iterator[Account]:
            """A class that brings a fixture of this name has that one."""
            with asked[request.cls].account(request.session) as opened:
                yield opened

        module = ModuleType("qprovider_contract")
        module.account = account  # type: ignore[attr-defined]
        for tests in asked:
            setattr(module, tests.__name__, tests)
        return module
