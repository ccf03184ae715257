"""Contract tests for plugin authors: inherit them, give them an account, and say what your vendor cannot do.

    from qprovider_core import open_account
    from qprovider_core.testing import ProviderContract

    @pytest.fixture(scope="module")
    def account():
        with open_account("acme", token="…") as account:
            yield account

    class TestAcme(ProviderContract):
        supports_cancel = False

Each inherited test checks one promise of `qprovider_core.hookspecs`, and its message says what was promised. What can
be declared is listed in `Declarations`. Needs pytest, which only this package imports.
"""

import pytest

_CHECKS = "backends cancelling closing compiling devices finding isolation jobs records running secrets"
for _module in ("base", "processes", *_CHECKS.split()):
    pytest.register_assert_rewrite(f"{__name__}._{_module}")

from qprovider_core.testing import circuits  # noqa: E402  assertions are rewritten on import
from qprovider_core.testing._declarations import Declarations  # noqa: E402
from qprovider_core.testing.contract import ProviderContract  # noqa: E402

__all__ = ["Declarations", "ProviderContract", "circuits"]
