"""Results of the service as records, and as the classes of Qiskit that users know.

The bits of a register are never copied on their way: one array is decompressed into, and the record, the `BitArray`
and the counts are made over it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.result.models import MeasLevel, MeasReturnType

from qprovider_core._result import LazyResult
from qprovider_core.errors import ResponseError, ResultError
from qprovider_core.records import EstimatePubResult, JobResult, RegisterBits, SamplePub, SamplePubResult
from qprovider_ibm._codec import decode
from qprovider_ibm._decoder import Decoder
from qprovider_ibm._kerneled import KERNELED, KerneledData, kerneled_data, kerneled_of_each
from qprovider_ibm._npy import MAX_VALUE_BYTES, Budget

# Keys of our own in a pub's metadata, KERNELED among them; everything else there is the service's.
FIELD_SHAPES = "field_shapes"  # shapes of the fields that have more axes than the pub
_PUBS = ("SamplerPubResult", "PubResult", "EstimatorPubResult")


def parse_result(body: bytes, kind: str | None = None, *, limit: int = MAX_VALUE_BYTES) -> JobResult:
    """A job's result, from what ``GET /jobs/{id}/results`` answered.

    Metadata stays as the service's JSON, tagged objects included; `primitive_result` decodes it. Data that is
    kerneled rather than classified has no bits: it stands in the pub's metadata under ``kerneled``.

    Args:
        kind: ``sample`` or ``estimate``; None: what the data looks like.
        limit: Most bytes that one compressed value may decompress to.
    Raises:
        ResponseError: It is no result of a sampler or an estimator; `.path` says where.
    """
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        shown = body[:200].decode("utf-8", "replace").strip()
        raise ResponseError("The result of a job is no JSON.", why=f"It begins with: {shown!r}.") from exc
    reader = _Reader(kind, Budget(limit))
    try:
        return reader.result(data)
    except RecursionError as exc:
        raise ResponseError("The result of a job is nested too deeply to be read.") from exc


class _Reader:
    """Reads one result."""

    def __init__(self, kind: str | None, budget: Budget) -> None:
        self._kind = kind
        self._budget = budget

    def result(self, data: Any) -> JobResult:
        if _tag(data) == "PrimitiveResult":
            value, name = data["__value__"], "pub_results"
        else:
            value, name = data, "results"
        pubs = value.get(name) if isinstance(value, Mapping) else None
        if not isinstance(pubs, list):
            raise _refused("", "it has no list of results")
        return JobResult(
            pubs=tuple(self._pub(pub, f"{name}[{index}]") for index, pub in enumerate(pubs)),
            metadata=_metadata(value, ""),
        )

    def _pub(self, pub: Any, path: str) -> SamplePubResult | EstimatePubResult:
        if _tag(pub) in _PUBS:
            pub = pub["__value__"]
        if not isinstance(pub, Mapping) or "data" not in pub:
            raise _refused(path, "it is no result of a pub")
        metadata = dict(_metadata(pub, path))
        node, path = pub["data"], f"{path}.data"
        fields: Mapping[str, Any]
        if _tag(node) == "DataBin":
            kept = _kerneled_texts(node)
            bin_ = Decoder(self._budget, consume=True, path=path).decode(node)
            shape, fields = tuple(bin_.shape), dict(bin_.items())
        else:
            kept, shape, fields = {}, None, _plain_fields(node, path, self._budget)
        if self._kind != "estimate" and any(isinstance(field, BitArray) for field in fields.values()):
            return _sampled(fields, shape, metadata, path)
        if self._kind == "estimate" or (self._kind is None and "evs" in fields):
            return _estimated(fields, shape, metadata, path)
        return _kerneled(fields, kept, shape, metadata, path)


def _tag(node: Any) -> Any:
    return node.get("__type__") if isinstance(node, Mapping) and "__value__" in node else None


def _refused(path: str, why: str) -> ResponseError:
    return ResponseError("The result of a job cannot be read.", path=path, why=f"{path or 'result'}: {why}.")


def _metadata(node: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    metadata = node.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise _refused(f"{path}.metadata".lstrip("."), "it is no object")
    return metadata or {}


def _plain_fields(node: Any, path: str, budget: Budget) -> dict[str, Any]:
    """The fields of a result that was not made for Qiskit: samples in hexadecimal, or plain lists."""
    if not isinstance(node, Mapping):
        raise _refused(path, "it is no object")
    fields: dict[str, Any] = {}
    for name, value in node.items():
        if isinstance(value, Mapping) and "samples" in value:
            fields[name] = _from_samples(value, f"{path}.{name}")
        else:
            decoded = Decoder(budget, path=f"{path}.{name}").decode(value)
            try:
                fields[name] = np.asarray(decoded, dtype=None if isinstance(decoded, np.ndarray) else float)
            except (TypeError, ValueError, OverflowError) as exc:
                raise _refused(f"{path}.{name}", "it is neither samples nor numbers") from exc
    return fields


def _from_samples(value: Mapping[str, Any], path: str) -> BitArray:
    bits, samples = value.get("num_bits"), value["samples"]
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 2**20 or not isinstance(samples, list):
        raise _refused(path, "it is no list of samples with a number of bits")
    size = (bits + 7) // 8
    try:
        rows = [int(sample, 16) for sample in samples]
        if any(row >> bits for row in rows):
            raise OverflowError
        data = b"".join(row.to_bytes(size, "big") for row in rows)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _refused(path, f"a sample is no number of {bits} bits") from exc
    return BitArray(np.frombuffer(data, dtype=np.uint8).reshape(len(rows), size), bits)


def _sampled(
    fields: Mapping[str, Any], shape: tuple[int, ...] | None, metadata: dict[str, Any], path: str
) -> SamplePubResult:
    if not all(isinstance(field, BitArray) for field in fields.values()):
        raise _refused(path, "some of its registers have bits and some have not")
    shapes = {(field.shape, field.num_shots) for field in fields.values()}
    if len(shapes) != 1:
        raise _refused(path, f"its registers differ in their numbers of shots: {sorted(map(str, shapes))}")
    ((found, shots),) = shapes
    if shots < 1:
        raise _refused(path, "it has no shots")
    if shape is not None and found != shape:
        raise _refused(path, f"its registers are of shape {found}, not {shape}")
    registers = tuple(
        RegisterBits(name=name, num_bits=field.num_bits, data=np.ascontiguousarray(field.array).data)
        for name, field in fields.items()
    )
    return SamplePubResult(shots=shots, registers=registers, metadata=metadata, shape=found)


def _estimated(
    fields: Mapping[str, Any], shape: tuple[int, ...] | None, metadata: dict[str, Any], path: str
) -> EstimatePubResult:
    arrays = {}
    for name, field in fields.items():
        array = _array(field, f"{path}.{name}")
        if array.dtype.kind not in "fiub":
            raise _refused(f"{path}.{name}", "its values are no real numbers")
        arrays[name] = array.astype(float)
    if "evs" not in arrays:
        raise _refused(path, "it has no expectation values (evs)")
    if shape is None:
        shape = arrays["evs"].shape
    for name in ("evs", "stds"):
        if name in arrays and arrays[name].shape != shape:
            raise _refused(f"{path}.{name}", f"it is of shape {arrays[name].shape}, not {shape}")
    more = {name: array for name, array in arrays.items() if name not in ("evs", "stds")}
    odd = {name: list(array.shape) for name, array in more.items() if array.shape != shape}
    if odd:
        metadata[FIELD_SHAPES] = odd
    return EstimatePubResult(
        evs=tuple(arrays["evs"].ravel().tolist()),
        stds=tuple(arrays["stds"].ravel().tolist()) if "stds" in arrays else None,
        metadata=metadata,
        shape=shape,
        fields={name: tuple(array.ravel().tolist()) for name, array in more.items()},
    )


def _array(field: Any, path: str) -> NDArray[Any]:
    try:
        return np.asarray(field)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _refused(path, "it is no array") from exc


def _kerneled_texts(node: Mapping[str, Any]) -> dict[str, Any]:
    """The tagged arrays of a data bin that are no bits, as they came."""
    fields = node["__value__"].get("fields") if isinstance(node["__value__"], Mapping) else None
    if not isinstance(fields, Mapping):
        return {}
    return {name: dict(field) for name, field in fields.items() if _tag(field) == "ndarray"}


def _kerneled(
    fields: Mapping[str, Any], kept: dict[str, Any], shape: tuple[int, ...] | None, metadata: dict[str, Any], path: str
) -> SamplePubResult:
    """A sampler's result without bits: complex values for each shot, or their averages."""
    shots = set()
    for name, field in fields.items():
        array = _array(field, f"{path}.{name}")
        more = array.ndim - len(shape or ())
        if name not in kept or array.dtype.kind != "c" or more not in (1, 2):
            raise _refused(f"{path}.{name}", "it is neither bits nor complex values for each bit")
        shots.add(array.shape[-2] if more == 2 else 0)
    if len(shots) > 1:
        raise _refused(path, "its registers differ in their numbers of shots")
    if kept:
        metadata[KERNELED] = kept
    return SamplePubResult(shots=shots.pop() if shots else 0, registers=(), metadata=metadata, shape=shape or ())


# -------------------------------------------------------------------------------------------- as Qiskit's classes


def primitive_result(record: JobResult, kind: str | None = None) -> PrimitiveResult:
    """The record as a primitive's result: `BitArray`s over the same memory, arrays in their shapes.

    Args:
        kind: Not needed; what the record holds is what it becomes.
    Raises:
        ResponseError: Its metadata cannot be decoded.
    """
    return PrimitiveResult([_pub_result(pub) for pub in record.pubs], decode(dict(record.metadata)))


def _pub_result(pub: SamplePubResult | EstimatePubResult) -> PubResult:
    metadata = dict(pub.metadata)
    if isinstance(pub, EstimatePubResult):
        shapes = metadata.pop(FIELD_SHAPES, {})
        shape = pub.shape if pub.shape or len(pub.evs) == 1 else (len(pub.evs),)
        flat: dict[str, tuple[float, ...]] = {"evs": pub.evs}
        if pub.stds is not None:
            flat["stds"] = pub.stds
        flat.update(pub.fields)
        fields = {name: np.array(values).reshape(shapes.get(name, shape)) for name, values in flat.items()}
        return PubResult(DataBin(shape=shape, **fields), decode(metadata))
    if pub.registers is None:
        raise ResultError("This result has counts only, which no primitive's result can hold.")
    data: dict[str, Any] = decode(metadata.pop(KERNELED, {}))
    for register in pub.registers:
        rows = np.frombuffer(register.data, dtype=np.uint8)
        data[register.name] = BitArray(rows.reshape((*pub.shape, pub.shots, register.row_bytes)), register.num_bits)
    return SamplerPubResult(DataBin(shape=pub.shape, **data), decode(metadata))


def _sample_pubs(record: JobResult) -> list[SamplePubResult]:
    return [pub for pub in record.pubs if isinstance(pub, SamplePubResult)]


class IBMResult(LazyResult):
    """Qiskit's `Result` of a sampler job, which also reads as a primitive's result.

    ``result.get_counts()`` as ever; ``result[0].data.meas``, ``len(result)``, ``for pub in result`` and
    ``result.metadata`` as a `PrimitiveResult` has them. Pubs and experiments are the same, except that a pub with
    an array of parameter sets is one experiment for each set.
    """

    _ask_circuits: Callable[[], Sequence[Any] | None] | None = None

    def __init__(
        self,
        record: JobResult,
        *,
        pubs: Sequence[SamplePub] | None = None,
        ask_circuits: Callable[[], Sequence[Any] | None] | None = None,
        **more: Any,
    ) -> None:
        """
        Args:
            pubs, more: As `LazyResult` takes them.
            ask_circuits: Gives the job's circuits, for a job that another process submitted: the service's results
                do not name them. Called once, when an experiment is asked for by its circuit or its name.
        """
        super().__init__(record, pubs=pubs, **more)
        self._ask_circuits = None if pubs else ask_circuits
        if any(pub.metadata.get(KERNELED) for pub in record.pubs):
            self._mark_kerneled([pub.shots for pub in pubs or _sample_pubs(record)])

    def _mark_kerneled(self, shots: Sequence[int]) -> None:
        """Have the experiments say that they hold no bits. `shots`: of each pub; averages do not tell how many."""
        data = [kerneled_data(pub) for pub in _sample_pubs(self.record)]
        for experiment, values, pub in zip(self.results, self._kerneled or (), self._pub_of_each(), strict=True):
            if values is None:  # of a job that failed, among others in a composite job
                continue
            experiment.meas_level = MeasLevel.KERNELED
            experiment.meas_return = MeasReturnType.SINGLE if values.ndim == 2 else MeasReturnType.AVERAGE
            experiment.shots = shots[pub]
            experiment.header["creg_sizes"] = [[name, array.shape[-1]] for name, array in data[pub].items()]
            experiment.header["memory_slots"] = values.shape[-1]
            experiment.data = KerneledData(values)

    def _pub_of_each(self) -> list[int]:
        """For each experiment the position of its pub."""
        return [index for index, pub in enumerate(_sample_pubs(self.record)) for _ in range(pub.num_sets)]

    def _get_experiment(self, key: Any = None) -> Any:
        if self._ask_circuits is not None and isinstance(key, str | QuantumCircuit):
            circuits = self._ask_circuits() or []
            self._ask_circuits = None
            if len(circuits) == len(self.record.pubs):
                for experiment, pub in zip(self.results, self._pub_of_each(), strict=True):
                    circuit = circuits[pub]
                    if circuit is not None:
                        experiment.header.update(
                            name=circuit.name, n_qubits=circuit.num_qubits, metadata=circuit.metadata or {}
                        )
        return super()._get_experiment(key)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ask_circuits": None}  # what it asks, the job, may hold what does not travel

    def primitive(self) -> PrimitiveResult:
        """The same result as a `PrimitiveResult`, over the same memory."""
        return self._primitive

    @cached_property
    def _primitive(self) -> PrimitiveResult:
        return primitive_result(self.record)

    @property
    def metadata(self) -> dict[str, Any]:
        """What the service adds for the whole job, execution spans among it."""
        found: dict[str, Any] = self._primitive.metadata
        return found

    def __getitem__(self, index: Any) -> Any:
        return self._primitive[index]

    def __len__(self) -> int:
        return len(self.record.pubs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._primitive)

    def get_counts(self, experiment: Any = None) -> Any:
        """See Qiskit's `Result`.

        Raises:
            ResultError: The job asked for kerneled data, which has no counts.
        """
        if any(pub.metadata.get(KERNELED) for pub in self.record.pubs):
            raise ResultError(
                "This job's data is kerneled (meas_level=1): it has no counts.",
                job_id=self.job_id,
                hint="Use result.get_memory(), or result[0].data.",
            )
        return super().get_counts(experiment)

    def get_memory(self, experiment: Any = None) -> Any:
        """See Qiskit's `Result`; kerneled data is complex, of shape (shots, bits), or (bits,) when averaged."""
        kerneled = self._kerneled
        if kerneled is None:
            return super().get_memory(experiment)
        if experiment is None and len(kerneled) != 1:
            return [self.get_memory(position) for position in range(len(kerneled))]
        return kerneled[self.results.index(self._get_experiment(experiment))]

    @cached_property
    def _kerneled(self) -> list[NDArray[np.complex128] | None] | None:
        """For each experiment its kerneled data; None for one that has none, or in place of all."""
        return kerneled_of_each(_sample_pubs(self.record))
