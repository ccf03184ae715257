"""What this plugin promises, for qprovider's contract tests.

`ProviderSpec.contract` names it, so that `pytest --qprovider-contract acme` finds it
wherever the plugin is installed, and `tests/test_contract.py` runs it here. Nothing
else imports it: it may import pytest and Qiskit.

All is taken for supported until it is declared otherwise. A declaration that the hooks
contradict fails, so whoever writes a hook deletes its line here.
"""

from __future__ import annotations

# @token
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
# @none
# from collections.abc import Iterator
# from typing import Any
# @end

import pytest
from qprovider_core import Account, Backend, Job, JobInfo, open_account
from qprovider_core.testing import ProviderContract, circuits

from qprovider_acme import _wire
from qprovider_acme._client import DEMO_TOKEN  # @token only


class AcmeContract(ProviderContract):
    """The contract tests, and what they may take for granted."""

    # The backend to run on, whose counts are exact: a single wrong shot fails. Say
    # `backend_name` for a noisy one, and with `tolerance` what share noise may spoil.
    noiseless_backend = "simulator"

    # @token
    # Fields of an account that the vendor refuses.
    wrong_credentials: ClassVar[Mapping[str, Any]] = {"token": "a-token-that-nobody-has"}

    # @end
    # What a circuit cannot hold here.
    supports_conditionals = False  # Qiskit's BasicSimulator has no control flow

    # Facts that the vendor does not tell.
    supports_properties = False  # a simulator has no calibration
    supports_defaults = False  # there are no further settings
    supports_account_info = False  # an account has no owner, plan or quota

    # What cannot be done with a job.
    supports_cancel_running = False  # only a job that waits can be stopped
    supports_update_tags = False  # tags stay as they were sent
    supports_delete = False  # jobs are forgotten with the connection
    supports_details = False  # there are no logs or metrics
    supports_reconnecting = False  # jobs live in the connection that sent them
    supports_other_processes = False  # and in its process
    supports_sessions = False  # there are none

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls) -> Iterator[Account]:
        """The account that the checks use. They submit more than a hundred small jobs.

        REPLACE: an account of your vendor's for tests, or one at a service that you
        start here on 127.0.0.1. `open_account("acme")` takes a saved account, or what
        the environment has; without this fixture the checks do the same.
        """
        # @token
        with open_account("acme", token=DEMO_TOKEN) as account:
            yield account
        # @none
        # with open_account("acme") as account:
        #     yield account
        # @end

    def job_with_status(self, account: Account, word: str) -> JobInfo | None:
        """A job whose vendor calls its status by a word that nobody knows."""
        client: Any = account.connection()
        return _wire.job_info({**client.jobs()[0], "status": word})

    def long_job(self, backend: Backend) -> Job:
        """A job that runs for a second or so. The default one takes minutes here,
        where circuits with measurements in the middle are run shot by shot."""
        return self.submit(backend, circuits.mid_circuit()[0], shots=20_000)
