"""``provider.backend``: backends and jobs under the names of the retired provider, with completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qprovider_core.errors import QProviderError, UnknownBackendError
from qprovider_core.records import BackendInfo

if TYPE_CHECKING:
    from qprovider_core._lists import BackendList, JobList
    from qprovider_ibm._backend import IBMBackend
    from qprovider_ibm._composite_job import IBMCompositeJob
    from qprovider_ibm._job import IBMJob
    from qprovider_ibm._provider import IBMProvider


class BackendService:
    """Backends and jobs of one provider; ``provider.backend.ibm_torino`` opens that backend."""

    def __init__(self, provider: IBMProvider) -> None:
        self._provider = provider

    def backends(self, *args: Any, **criteria: Any) -> BackendList[IBMBackend]:
        """See `IBMProvider.backends`."""
        return self._provider.backends(*args, **criteria)

    def jobs(self, *args: Any, **query: Any) -> JobList[IBMJob]:
        """See `IBMProvider.jobs`."""
        return self._provider.jobs(*args, **query)

    def job(self, job_id: str, instance: str | None = None) -> IBMJob | IBMCompositeJob:
        """See `IBMProvider.retrieve_job`."""
        return self._provider.retrieve_job(job_id, instance)

    def retrieve_job(self, job_id: str, instance: str | None = None) -> IBMJob | IBMCompositeJob:
        """See `IBMProvider.retrieve_job`."""
        return self._provider.retrieve_job(job_id, instance)

    def _names(self) -> list[str]:
        infos = self._provider.account.ask("qprovider_list_backends")
        return [info.name for info in infos if isinstance(info, BackendInfo)]

    def __dir__(self) -> list[str]:
        # The tab key must not fail, whatever the network does; one request names all backends.
        try:
            names = [name for name in self._names() if name.isidentifier()]
        except QProviderError:
            names = []
        return sorted({*super().__dir__(), *names})

    def __getattr__(self, name: str) -> IBMBackend:
        if name.startswith("_") or name in _PROBED:
            raise AttributeError(name)
        try:
            return self._provider.get_backend(name)
        except UnknownBackendError as exc:
            raise AttributeError(str(exc)) from exc

    def __repr__(self) -> str:
        return f"<BackendService of {self._provider!r}>"


# What notebooks and completers ask any object for: no backend is called so, and nothing is to be fetched for it.
_PROBED = frozenset({"getdoc", "trait_names", "shape", "dtype"})
