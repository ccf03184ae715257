"""`IBMPrimitiveJob`: what a primitive's `run` gives. Imports Qiskit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BasePrimitiveJob

from qprovider_core.records import EstimatePub, JobResult, SamplePub
from qprovider_ibm._job import IBMJob
from qprovider_ibm._params import merged_pubs
from qprovider_ibm._results import primitive_result

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult


class IBMPrimitiveJob(IBMJob, BasePrimitiveJob):
    """A job of a sampler or an estimator, whose result is a `PrimitiveResult`."""

    def result(self, timeout: float | None = None, **kwargs: Any) -> PrimitiveResult:
        """One result for each pub, in the order of `run`; waits for it.

        Args:
            timeout: Seconds; None for no limit.
            kwargs: As `IBMJob.result` takes them.
        Raises:
            JobTimeoutError: Not done in time; the job goes on.
            JobFailedError, JobCancelledError: It ended without a result.
            ResultError: The result does not fit what was sent.
        """
        return super().result(timeout, **kwargs)

    def _made_result(self, record: JobResult, pubs: list[SamplePub] | None) -> Any:
        self._check_kind(record)
        if self._request is not None:
            self._check_shapes(record, merged_pubs(self._request.pubs))
        return primitive_result(record, self.info.kind)

    def _check_shapes(self, record: JobResult, sent: list[SamplePub | EstimatePub]) -> None:
        if len(record.pubs) != len(sent):
            raise self._misfit(f"{len(record.pubs)} pubs, {len(sent)} were sent")
        for index, (pub, result) in enumerate(zip(sent, record.pubs, strict=True)):
            expected = pub.shape if isinstance(pub, SamplePub) else _estimates(pub)
            if tuple(result.shape) != tuple(expected):
                raise self._misfit(f"pub {index} is of shape {tuple(result.shape)}, not {tuple(expected)}")


def _estimates(pub: EstimatePub) -> tuple[int, ...]:
    shape = (len(pub.observables),) if pub.observables_shape is None else pub.observables_shape
    return np.broadcast_shapes(shape, pub.shape)
