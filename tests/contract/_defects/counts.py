"""Defects in what comes out: bits, registers, shots, memory, parameters, several circuits."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import count
from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect


def _reversed(number: int, bits: int) -> int:
    return int(format(number, f"0{bits}b")[::-1], 2) if bits else 0


def _joined(row: Mapping[str, Any]) -> list[int]:
    """Each shot's registers as one number, the first register lowest."""
    numbers, low = [0] * row["shots"], 0
    for one in row["registers"]:
        numbers = [number | value << low for number, value in zip(numbers, one["shots"], strict=True)]
        low += one["bits"]
    return numbers


# -- the order of bits ------------------------------------------------------------------------------------


@defect("test_bit_order_of_a_circuit_alone", "The bits are in reverse order")
class ReversedBits(GoodVendor):
    """Bit 0 is leftmost, over all registers."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        bits = sum(one["bits"] for one in row["registers"])
        numbers, registers = [_reversed(number, bits) for number in _joined(row)], []
        for one in row["registers"]:
            registers.append({**one, "shots": [number % 2 ** one["bits"] for number in numbers]})
            numbers = [number >> one["bits"] for number in numbers]
        return super().outcomes({**row, "registers": registers})


@defect("test_bit_order_of_a_circuit_alone", "The registers are in reverse order")
class ReversedRegisters(GoodVendor):
    """The first register is leftmost; its counts come without spaces."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        counts: dict[str, int] = {}
        for shot in zip(*(one["shots"] for one in row["registers"]), strict=True):
            key = "".join(format(v, f"0{one['bits']}b") for v, one in zip(shot, row["registers"], strict=True))
            counts[key] = counts.get(key, 0) + 1
        return qp.SamplePubResult.from_counts(counts)


@defect("test_bit_order_of_a_circuit_alone", "The spaces between the registers are missing")
class LostSpaces(GoodVendor):
    """All bits come as one register of the vendor's own."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        bits = sum(one["bits"] for one in row["registers"])
        return super().outcomes({**row, "registers": [{"name": "out", "bits": bits, "shots": _joined(row)}]})


@defect("test_leading_zeros_are_kept", "Leading zeros were lost")
class LostLeadingZeros(GoodVendor):
    """Numbers are as wide as the largest."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        numbers = _joined(row)
        bits = max(1, *(number.bit_length() for number in numbers))
        return super().outcomes({**row, "registers": [{"name": "out", "bits": bits, "shots": numbers}]})


@defect("test_measure_all_adds_a_register_in_front", "measure_all beside a register that stays 0")
class OnlyTheLastRegister(GoodVendor):
    """Of several registers one is told."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        return super().outcomes({**row, "registers": row["registers"][-1:]})


@defect("test_registers_wider_than_a_byte", "ones in both bytes of registers of 11 and 9 bits")
class LowestByteFirst(GoodVendor):
    """Rows of more than one byte are little-endian."""

    def register(self, name: str, bits: int, shots: Any) -> Any:
        size = (bits + 7) // 8
        return qp.RegisterBits(name=name, num_bits=bits, data=b"".join(n.to_bytes(size, "little") for n in shots))


# -- several circuits -------------------------------------------------------------------------------------


class _Batch(GoodVendor):
    """A vendor that does something to the results of a job as a whole."""

    def batch(self, pubs: list[Any]) -> list[Any]:
        raise NotImplementedError

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        result = super().qprovider_job_result(connection, job, deadline)
        return attrs.evolve(result, pubs=self.batch(list(result.pubs)))


@defect("test_many_circuits_come_back_in_order", "number_0 of 8 circuits")
class BatchBackwards(_Batch):
    """The circuit that was sent last is told first."""

    def batch(self, pubs: list[Any]) -> list[Any]:
        return pubs[::-1]


@defect("test_many_circuits_come_back_in_order", "circuits, 8 were sent")
class BatchCutShort(_Batch):
    """What lies beyond the vendor's own limit is left out silently."""

    def batch(self, pubs: list[Any]) -> list[Any]:
        return pubs[:5]


@defect("test_bit_order_in_a_batch", "The bits are in reverse order")
class BatchReversedBits(GoodVendor):
    """From the second circuit of a job on, bits are reversed."""

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        first, *others = self.job(connection, job, deadline, "/result")["circuits"]
        turned = ReversedBits()
        return qp.JobResult(pubs=[self.outcomes(first), *(turned.outcomes(one) for one in others)])


@defect("test_circuits_of_different_width_in_one_job", "bits beside other widths")
class BatchAsWideAsTheFirst(GoodVendor):
    """The layout of the first circuit is taken for that of all."""

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        rows = self.job(connection, job, deadline, "/result")["circuits"]
        bits = sum(one["bits"] for one in rows[0]["registers"])
        cut = [{"name": "m", "bits": bits, "shots": [number % 2**bits for number in _joined(row)]} for row in rows]
        return qp.JobResult(
            pubs=[self.outcomes({**row, "registers": [one]}) for row, one in zip(rows, cut, strict=True)]
        )


@defect("test_each_circuit_of_a_batch_has_its_own_shots_and_registers", "its pub has 100 shots of [200, 100, 51]")
class ShotsOfTheFirst(GoodVendor):
    """The service takes one number of shots for all circuits of a job."""

    def order(self, request: Any) -> Any:
        order = super().order(request)
        return {**order, "circuits": [{**one, "shots": request.pubs[0].shots} for one in order["circuits"]]}


# -- chance ----------------------------------------------------------------------------------------------


@defect("test_a_coin_is_fair", "H gives 1 in")
class BiasedCoin(GoodVendor):
    """Of four shots of each register three are lost, and counted as 0."""

    def register(self, name: str, bits: int, shots: Any) -> Any:
        return super().register(name, bits, [0 if at % 4 else value for at, value in enumerate(shots)])


@defect("test_two_entangled_qubits_agree", "a Bell pair gives")
class UncorrelatedBits(GoodVendor):
    """Only how often each bit was 1 is known: the outcomes of a shot do not belong together."""

    def register(self, name: str, bits: int, shots: Any) -> Any:
        columns = [[value >> bit & 1 for value in shots] for bit in range(bits)]
        for column in columns:
            random.shuffle(column)
        mixed = [sum(bit << at for at, bit in enumerate(row)) for row in zip(*columns, strict=True)]
        return super().register(name, bits, mixed)


# -- shots and memory -------------------------------------------------------------------------------------


@defect("test_shots_are_honoured", "shots were asked for")
class OneShotMore(GoodVendor):
    """A shot too many."""

    def packed(self, pub: Any) -> Any:
        return super().packed(attrs.evolve(pub, shots=pub.shots + 1))


@defect("test_shots_are_honoured", "shots were asked for")
class ShotsInHundreds(GoodVendor):
    """Shots are rounded up."""

    def packed(self, pub: Any) -> Any:
        return super().packed(attrs.evolve(pub, shots=-(-pub.shots // 100) * 100))


@defect("test_default_shots_are_as_announced", "announces 500, max_shots is 20000, and 1024 were run")
class AnotherDefault(GoodVendor):
    """What equals the announced default is left out, and the service's own default is another."""

    def packed(self, pub: Any) -> Any:
        return super().packed(attrs.evolve(pub, shots=1024 if pub.shots == 500 else pub.shots))


@defect("test_memory_agrees_with_the_counts", "No memory for experiment")
class NoMemory(GoodVendor):
    """Only counts are told, whatever is asked for."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        counts: dict[str, int] = {}
        for shot in zip(*(one["shots"] for one in row["registers"]), strict=True):
            pairs = list(zip(shot, row["registers"], strict=True))[::-1]
            key = " ".join(format(value, f"0{one['bits']}b") for value, one in pairs)
            counts[key] = counts.get(key, 0) + 1
        return qp.SamplePubResult.from_counts(counts)


@defect("test_memory_is_in_the_order_of_the_shots", "it is sorted, or was made of counts")
class SortedMemory(GoodVendor):
    """The memory is made of the counts: what came first cannot be told from it."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        shots = zip(*sorted(zip(*(one["shots"] for one in row["registers"]), strict=True)), strict=True)
        registers = [{**one, "shots": list(told)} for one, told in zip(row["registers"], shots, strict=True)]
        return super().outcomes({**row, "registers": registers})


@defect("test_memory_has_the_bit_order_of_counts", "The bits are in reverse order")
class MemoryReversed(GoodVendor):
    """Where the outcome of each shot is asked for, it has another order of bits."""

    def __init__(self) -> None:
        self.with_memory: set[str] = set()

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        info = super().qprovider_submit_job(connection, request, deadline)
        if request.memory:
            self.with_memory.add(info.id)
        return info

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        rows = self.job(connection, job, deadline, "/result")["circuits"]
        told: GoodVendor = ReversedBits() if job.id in self.with_memory else self
        return qp.JobResult(
            pubs=[GoodVendor.outcomes(self, row) if told is self else told.outcomes(row) for row in rows]
        )


@defect("test_memory_in_a_batch", "declares the registers c[2], not c[1]")
class MemoryOfTheFirst(_Batch):
    """Every circuit of a job gets the shots of the first, where they are as many."""

    def batch(self, pubs: list[Any]) -> list[Any]:
        return [pubs[0] if one.shots == pubs[0].shots else one for one in pubs]


# -- parameters -------------------------------------------------------------------------------------------


@defect("test_parameters_reach_their_own_gates", "ry with")
class ParametersBackwards(GoodVendor):
    """Values are bound in the order in which the parameters were made."""

    def packed(self, pub: Any) -> Any:
        return super().packed(attrs.evolve(pub, parameter_values=pub.parameter_values[::-1]))


@defect("test_a_sweep_gives_one_result_a_value_in_order", "a sweep over two angles")
class SweepInItsOwnOrder(GoodVendor):
    """Sets of values run in an order that suits the vendor, and come back in it."""

    def order(self, request: Any) -> Any:
        order = super().order(request)
        return {**order, "circuits": sorted(order["circuits"], key=lambda one: one["values"][::-1])}


# -- the result -------------------------------------------------------------------------------------------


@defect("test_a_job_is_retrieved_by_its_id", "gives nothing when it is asked by its id")
class ResultOnlyOnce(GoodVendor):
    """A result is given once, and is gone then."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        result = super().qprovider_job_result(connection, job, deadline)
        first = job.id not in self.given
        self.given.add(job.id)
        return result if first else None


@defect("test_the_result_twice_is_the_same", "gives another result when it is asked again")
class AnotherResultEachTime(GoodVendor):
    """What is asked for again is counted."""

    def __init__(self) -> None:
        self.asked = count()

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        result = super().qprovider_job_result(connection, job, deadline)
        return attrs.evolve(result, metadata={"downloads": next(self.asked)})


@defect("test_the_result_is_one_of_qiskit", "a JobResult was expected")
class AnotherTypeOfResult(GoodVendor):
    """Qiskit's own counts where the record is expected."""

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        return [{"0": 200}]


@defect("test_running_the_same_twice_makes_two_jobs", "two submissions got the same job id")
class SameCircuitSameJob(GoodVendor):
    """Who sends a circuit again is given the earlier job."""

    def __init__(self) -> None:
        self.earlier: dict[str, Any] = {}

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        info = super().qprovider_submit_job(connection, request, deadline)
        return self.earlier.setdefault(str(request.pubs[0].circuit.count_ops()), info)
