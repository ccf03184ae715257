"""Checks of running: counts in Qiskit's order, memory, shots, parameters, several circuits."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import pi, sqrt
from typing import Any

import attrs
import pytest
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.result import Result

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core.errors import InvalidInputError
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs

_SIGMAS = 6  # once in 10^9 runs a fair coin fails
_ENOUGH_SHOTS = 50  # so many that coins come in each order as good as never by chance


class RunningChecks(ContractBase):
    """What is promised of counts."""

    # -- bit order ----------------------------------------------------------------------------------------

    @needs("supports_running", "supports_several_registers")
    @pytest.mark.parametrize("ones", circuits.PATTERNS, ids=lambda ones: "".join(map(str, sorted(ones))) or "none")
    def test_bit_order_of_a_circuit_alone(self, backend: Backend, ones: frozenset[int]) -> None:
        circuit, expected = circuits.registers(ones, backend.num_qubits)
        self.expect(self.counts(backend, circuit), expected, f"X on the bits {sorted(ones)}")

    @needs("supports_running", "supports_several_registers", "supports_many_circuits")
    def test_bit_order_in_a_batch(self, backend: Backend) -> None:
        pairs = [circuits.registers(ones, backend.num_qubits) for ones in circuits.PATTERNS]
        answers = self.counts(backend, [circuit for circuit, _ in pairs])
        for (circuit, expected), counts in zip(pairs, answers, strict=True):
            self.expect(counts, expected, f"{circuit.name} in a batch")

    @needs("supports_running")
    def test_leading_zeros_are_kept(self, backend: Backend) -> None:
        width = _width(backend, 3)
        for value in (0, 1):
            circuit, expected = circuits.number(value, width)
            self.expect(self.counts(backend, circuit), expected, f"the number {value} in {width} bits")

    @needs("supports_running", "supports_several_registers")
    def test_measure_all_adds_a_register_in_front(self, backend: Backend) -> None:
        width = _width(backend, 2)
        circuit = QuantumCircuit(width)
        circuit.x(0)
        circuit.add_register(ClassicalRegister(2, "before"))
        circuit.measure_all()
        expected = format(1, f"0{width}b") + " 00"
        self.expect(self.counts(backend, circuit), expected, "measure_all beside a register that stays 0")

    @needs("supports_running")
    def test_an_unmeasured_bit_is_zero(self, backend: Backend) -> None:
        circuit = QuantumCircuit(1, 3)
        circuit.x(0)
        circuit.measure(0, 1)
        self.expect(self.counts(backend, circuit), "010", "a qubit measured into the middle one of three bits")

    @needs("supports_running", "supports_several_registers")
    def test_registers_wider_than_a_byte(self, backend: Backend) -> None:
        circuit, expected = circuits.wide_registers(backend.num_qubits)
        self.expect(self.counts(backend, circuit), expected, "ones in both bytes of registers of 11 and 9 bits")

    @needs("supports_running", "supports_several_registers", "supports_many_circuits")
    def test_each_circuit_of_a_batch_has_its_own_shots_and_registers(self, backend: Backend) -> None:
        pairs = [circuits.number(1, 1), circuits.registers({1, 5}, backend.num_qubits), circuits.wide_registers(1)]
        ready = self.compile([circuit for circuit, _ in pairs], backend)
        request = backend._checked_request(ready, self.shots, None, None, None, None, self.run_options)
        shots = [self.shots, self.shots, self.shots]
        if self.supports_shots_per_circuit:
            shots = [self.shots, self.shots // 2, self.shots // 4 + 1]
            evolve: Any = attrs.evolve  # of either kind of pub
            pubs = [evolve(pub, shots=number) for pub, number in zip(request.pubs, shots, strict=True)]
            request = attrs.evolve(request, pubs=pubs)
        result = backend._submit(request).result(timeout=self.max_run_seconds)
        for index, (circuit, expected) in enumerate(pairs):
            counts, what = (
                result.get_counts(index),
                f"{circuit.name}, circuit {index} of {len(pairs)} with other registers",
            )
            assert sum(counts.values()) == shots[index], (
                f"{what}: its pub has {shots[index]} shots of {shots}, its counts add up to {sum(counts.values())}; "
                "declare supports_shots_per_circuit = False if the vendor takes one number for a whole job"
            )
            self.expect(counts, expected, what)

    # -- physics ------------------------------------------------------------------------------------------

    @needs("supports_running")
    def test_a_coin_is_fair(self, backend: Backend) -> None:
        counts = self.counts(backend, circuits.coin())
        heads, shots = counts.get("1", 0), sum(counts.values())
        slack = _SIGMAS * sqrt(shots) / 2 + (0 if self.exact else self.tolerance * shots / 2)
        assert abs(heads - shots / 2) <= slack, f"H gives 1 in {heads} of {shots} shots"

    @needs("supports_running")
    def test_two_entangled_qubits_agree(self, backend: Backend) -> None:
        if _width(backend, 2) < 2:
            pytest.skip("the backend has one qubit")
        counts = self.counts(backend, circuits.bell())
        alike, shots = counts.get("00", 0) + counts.get("11", 0), sum(counts.values())
        assert alike >= (shots if self.exact else (1 - self.tolerance) * shots), f"a Bell pair gives {counts}"
        assert min(counts.get("00", 0), counts.get("11", 0)) > 0, f"a Bell pair always gives the same: {counts}"

    @needs("supports_running")
    def test_phases_have_the_right_sign(self, backend: Backend) -> None:
        circuit, expected = circuits.phases(_width(backend, 3))
        self.expect(self.counts(backend, circuit), expected, "phases after an inverse Fourier transform")
        if _width(backend, 2) == 2:
            circuit, expected = circuits.kickback()
            self.expect(self.counts(backend, circuit), expected, "the phase that a controlled X gives its control")

    @needs("supports_running", "supports_mid_circuit")
    def test_measuring_in_the_middle_keeps_both_outcomes(self, backend: Backend) -> None:
        circuit, expected = circuits.mid_circuit()
        self.expect(self.counts(backend, circuit), expected, "measured, flipped and measured again")

    @needs("supports_running", "supports_reset")
    def test_reset_gives_zero(self, backend: Backend) -> None:
        circuit, expected = circuits.reset()
        self.expect(self.counts(backend, circuit), expected, "X, then reset")

    @needs("supports_running", "supports_conditionals", "supports_mid_circuit")
    def test_conditionals_follow_the_measured_bit(self, backend: Backend) -> None:
        if _width(backend, 2) < 2:
            pytest.skip("the backend has one qubit")
        circuit, expected = circuits.conditional()
        self.expect(self.counts(backend, circuit), expected, "flips that depend on a measured 1")

    # -- shots and memory ---------------------------------------------------------------------------------

    @needs("supports_running")
    @pytest.mark.parametrize("shots", [1, 7, 100])
    def test_shots_are_honoured(self, backend: Backend, shots: int) -> None:
        if backend.max_shots is not None and shots > backend.max_shots:
            pytest.skip(f"the backend runs at most {backend.max_shots} shots")
        counts = self.counts(backend, circuits.coin(_width(backend, 2)), shots=shots)
        assert sum(counts.values()) == shots, f"{shots} shots were asked for, the counts add up to {counts}"

    @needs("supports_running")
    def test_default_shots_are_as_announced(self, account: Account, backend: Backend) -> None:
        announced, most = account.spec.default_shots, backend.max_shots
        expected = announced if most is None else min(announced, most)
        ready = self.compile([circuits.coin()], backend)[0]
        counts = backend.run(ready, **self.run_options).result(timeout=self.max_run_seconds).get_counts()
        assert sum(counts.values()) == expected, (
            f"no shots were given; ProviderSpec.default_shots announces {announced}, max_shots is {most}, and "
            f"{sum(counts.values())} were run"
        )

    @needs("supports_running", "supports_memory")
    def test_memory_agrees_with_the_counts(self, backend: Backend) -> None:
        circuit = circuits.registers((), backend.num_qubits)[0]
        circuit.data.insert(0, circuits.coin().data[0].replace(qubits=[circuit.qubits[0]]))
        result = self.submit(backend, circuit, memory=True).result(timeout=self.max_run_seconds)
        memory = result.get_memory()
        assert len(memory) == self.shots, f"{self.shots} shots, {len(memory)} of them in the memory"
        assert Counter(memory) == Counter(result.get_counts()), "memory and counts tell of different outcomes"

    @needs("supports_running", "supports_memory")
    def test_memory_has_the_bit_order_of_counts(self, backend: Backend) -> None:
        circuit, expected = circuits.registers({0, 3}, backend.num_qubits)
        memory = self.submit(backend, circuit, memory=True).result(timeout=self.max_run_seconds).get_memory()
        self.expect(Counter(memory), expected, "the memory of X on the bits 0 and 3")

    @needs("supports_running", "supports_memory")
    def test_memory_is_in_the_order_of_the_shots(self, backend: Backend) -> None:
        circuit = circuits.coin(_width(backend, 2))
        memory = self.submit(backend, circuit, memory=True).result(timeout=self.max_run_seconds).get_memory()
        changes = sum(one != other for one, other in pairwise(memory))
        assert changes >= len(set(memory)) or len(memory) < _ENOUGH_SHOTS, (
            f"the memory of {len(memory)} shots of coins has each outcome in one piece: it is sorted, or was made of "
            "counts, and does not tell which shot gave what; declare supports_memory = False and give counts"
        )

    @needs("supports_running", "supports_memory", "supports_many_circuits")
    def test_memory_in_a_batch(self, backend: Backend) -> None:
        pairs = [circuits.registers({1, 5}, backend.num_qubits), circuits.number(1, _width(backend, 2))]
        mixed = [circuit for circuit, _ in pairs] if self.supports_several_registers else [pairs[1][0]]
        result = self.submit(backend, [circuits.coin(), *mixed], memory=True).result(timeout=self.max_run_seconds)
        for index in range(1 + len(mixed)):
            memory, counts = result.get_memory(index), result.get_counts(index)
            assert len(memory) == self.shots, (
                f"circuit {index}: {self.shots} shots, {len(memory)} of them in the memory"
            )
            assert Counter(memory) == Counter(counts), (
                f"circuit {index} of a batch: its memory tells of {dict(Counter(memory))}, its counts of {counts}"
            )
        for index, (circuit, expected) in enumerate([pair for pair in pairs if pair[0] in mixed], start=1):
            self.expect(Counter(result.get_memory(index)), expected, f"the memory of {circuit.name} in a batch")

    @needs("supports_running")
    def test_what_cannot_run_is_refused_before_anything_is_sent(
        self, account: Account, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ready = self.compile([circuits.coin()], backend)[0]
        cases: list[tuple[str, Any, dict[str, Any]]] = [
            ("no shots", ready, {"shots": 0}),
            ("shots that are no number", ready, {"shots": "many"}),
            ("no circuit", [], {}),
            ("nothing measured", QuantumCircuit(1, 1), {}),
            ("an option that there is not", ready, {"no_such_option": 1}),
            ("parameters without values", self.compile([circuits.rotation()[0]], backend)[0], {})
            if self.supports_parameters and _width(backend, 2) == 2
            else ("something else than a circuit", ["circuit"], {}),
        ]
        if backend.max_shots is not None:
            cases.append(("more shots than max_shots", ready, {"shots": backend.max_shots + 1}))
        if backend.max_circuits is not None:
            cases.append(("more circuits than max_circuits", [ready] * (backend.max_circuits + 1), {}))
        if backend.num_qubits is not None and backend.num_qubits < 1000:
            wide = QuantumCircuit(backend.num_qubits + 1, 1)
            wide.measure(0, 0)
            cases.append(("more qubits than it has", wide, {}))
        asked: list[str] = []
        ask = account.ask

        def noted(hook: str, **given: Any) -> Any:
            asked.append(hook)
            return ask(hook, **given)

        monkeypatch.setattr(account, "ask", noted)
        for what, run_input, options in cases:
            try:
                backend.run(run_input, **options)
            except InvalidInputError:
                pass
            except Exception as exc:  # noqa: BLE001  whatever comes instead
                pytest.fail(f"{what}: refused with {exc!r}, which is no InvalidInputError")
            else:
                pytest.fail(f"{what} is accepted")
            assert "qprovider_submit_job" not in asked, f"{what}: refused, but it was sent to the vendor first"

    # -- parameters and several circuits ------------------------------------------------------------------

    @needs("supports_running", "supports_parameters")
    def test_parameters_reach_their_own_gates(self, backend: Backend) -> None:
        if _width(backend, 2) < 2:
            pytest.skip("the backend has one qubit")
        circuit, zeta, alpha = circuits.rotation()
        for values, expected in (({zeta: pi, alpha: 0}, "01"), ({zeta: 0, alpha: pi}, "10")):
            counts = self.counts(backend, circuit, parameter_binds=[values])
            self.expect(counts, expected, f"ry with { ({p.name: v for p, v in values.items()}) }")

    @needs("supports_running", "supports_parameters", "supports_many_circuits")
    def test_a_sweep_gives_one_result_a_value_in_order(self, backend: Backend) -> None:
        if _width(backend, 2) < 2:
            pytest.skip("the backend has one qubit")
        circuit, zeta, alpha = circuits.rotation()
        binds = [{zeta: a * pi, alpha: b * pi} for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))]
        answers = self.counts(backend, circuit, parameter_binds=binds)
        assert len(answers) == 4, f"four sets of values, {len(answers)} results"
        for counts, expected in zip(answers, ("00", "01", "10", "11"), strict=True):
            self.expect(counts, expected, "a sweep over two angles")

    @needs("supports_running", "supports_many_circuits")
    def test_many_circuits_come_back_in_order(self, backend: Backend) -> None:
        width = _width(backend, 3)
        pairs = [circuits.number(value, width) for value in range(2**width)][: backend.max_circuits]
        answers = self.counts(backend, [circuit for circuit, _ in pairs])
        for (circuit, expected), counts in zip(pairs, answers, strict=True):
            self.expect(counts, expected, f"{circuit.name} of {len(pairs)} circuits")

    @needs("supports_running", "supports_many_circuits")
    def test_circuits_of_different_width_in_one_job(self, backend: Backend) -> None:
        pairs = [circuits.number(1, width) for width in range(1, _width(backend, 3) + 1)]
        answers = self.counts(backend, [circuit for circuit, _ in pairs])
        for (circuit, expected), counts in zip(pairs, answers, strict=True):
            self.expect(counts, expected, f"{circuit.num_clbits} bits beside other widths")

    # -- the result ---------------------------------------------------------------------------------------

    @needs("supports_running")
    def test_the_result_is_one_of_qiskit(self, backend: Backend) -> None:
        circuit, expected = circuits.number(1, 1)
        job = self.submit(backend, circuit)
        result = job.result(timeout=self.max_run_seconds)
        assert isinstance(result, Result), f"job.result() gave {result!r}"
        assert result.success, "the result of a job that is done says that it failed"
        assert result.job_id == job.job_id(), f"the result of job {job.job_id()} says it is of {result.job_id}"
        self.expect(result.get_counts(0), expected, "the counts of experiment 0")

    @needs("supports_running")
    def test_the_result_twice_is_the_same(self, account: Account, backend: Backend) -> None:
        job = self.submit(backend, circuits.coin(_width(backend, 3)))
        first = job.result(timeout=self.max_run_seconds).get_counts()
        assert job.result(timeout=self.max_run_seconds).get_counts() == first, "a second result() gives other counts"
        once, again = (account.ask("qprovider_job_result", job=job.ref) for _ in range(2))
        assert once == again, "the vendor's plugin gives another result when it is asked again"

    @needs("supports_running")
    def test_running_the_same_twice_makes_two_jobs(self, backend: Backend) -> None:
        first, second = (self.finished(backend) for _ in range(2))
        assert first.job_id() != second.job_id(), "two submissions got the same job id"
        assert first.job_id().strip(), "the job's id is empty"

    def test_refusals_are_explained(self, account: Account, backend: Backend) -> None:
        with pytest.raises(InvalidInputError) as caught:
            backend.run(circuits.coin(), no_such_option=True)
        explained(caught.value)


def _width(backend: Backend, wanted: int) -> int:
    """As many qubits as wanted, or as the backend has."""
    return wanted if backend.num_qubits is None else min(wanted, backend.num_qubits)
