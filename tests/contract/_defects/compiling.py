"""Defects in what a vendor makes of circuits before it runs them, and in handles of its own."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect


@defect("test_bit_order_of_a_circuit_alone", "is a qubit's number taken for a bit's?")
class QubitsForBits(GoodVendor):
    """What qubit 2 gave is told as bit 2, wherever it was measured into."""

    def packed(self, pub: Any) -> Any:
        circuit = pub.circuit.copy_empty_like()
        measured = sorted(
            pub.circuit.find_bit(item.qubits[0]).index for item in pub.circuit.data if item.operation.name == "measure"
        )
        for item in pub.circuit.data:
            if item.operation.name == "measure":
                place = measured.index(pub.circuit.find_bit(item.qubits[0]).index)
                item = item.replace(clbits=[circuit.clbits[place]])
            circuit.append(item)
        return super().packed(attrs.evolve(pub, circuit=circuit))


@defect("test_an_unmeasured_bit_is_zero", "expected '010'")
class BitsInTheOrderOfMeasuring(GoodVendor):
    """What is measured first becomes bit 0."""

    def packed(self, pub: Any) -> Any:
        circuit, places = pub.circuit.copy_empty_like(), count()
        for item in pub.circuit.data:
            place = next(places) if item.operation.name == "measure" else None
            circuit.append(item if place is None else item.replace(clbits=[circuit.clbits[place]]))
        return super().packed(attrs.evolve(pub, circuit=circuit))


class _Compiled(GoodVendor):
    """A vendor whose own step of compilation does something to each instruction."""

    def compiled(self, item: Any) -> list[Any]:
        raise NotImplementedError

    def packed(self, pub: Any) -> Any:
        circuit = pub.circuit.copy_empty_like()
        for item in pub.circuit.data:
            for one in self.compiled(item):
                circuit.append(one)
        return super().packed(attrs.evolve(pub, circuit=circuit))


@defect("test_phases_have_the_right_sign", "the phase that a controlled X gives its control")
class PhasesTurnedAround(_Compiled):
    """rz turns the other way."""

    def compiled(self, item: Any) -> list[Any]:
        return [item.replace(operation=item.operation.inverse())] if item.operation.name == "rz" else [item]


@defect("test_phases_have_the_right_sign", "phases after an inverse Fourier transform")
class AnglesWithoutSign(_Compiled):
    """rz turns one way only."""

    def compiled(self, item: Any) -> list[Any]:
        if item.operation.name != "rz" or item.operation.params[0] >= 0:
            return [item]
        return [item.replace(operation=item.operation.inverse())]


@defect("test_reset_gives_zero", "X, then reset")
class ResetIgnored(_Compiled):
    """reset is left out."""

    def compiled(self, item: Any) -> list[Any]:
        return [] if item.operation.name == "reset" else [item]


@defect("test_conditionals_follow_the_measured_bit", "flips that depend on a measured 1")
class ConditionsIgnored(_Compiled):
    """What depends on a measured bit happens anyway."""

    def compiled(self, item: Any) -> list[Any]:
        if item.operation.name != "if_else":
            return [item]
        body = item.operation.blocks[0]
        outer = dict(zip(body.qubits, item.qubits, strict=True))
        return [one.replace(qubits=[outer[qubit] for qubit in one.qubits]) for one in body.data]


@defect("test_measuring_in_the_middle_keeps_both_outcomes", "measured, flipped and measured again")
class MeasuredAtTheEnd(GoodVendor):
    """All measurements happen at the end."""

    def packed(self, pub: Any) -> Any:
        circuit = pub.circuit.copy_empty_like()
        for last in (False, True):
            for item in pub.circuit.data:
                if (item.operation.name == "measure") is last:
                    circuit.append(item)
        return super().packed(attrs.evolve(pub, circuit=circuit))


@defect("test_every_level_gives_the_right_counts", "transpiled at level")
class LowerQubitControls(_Compiled):
    """Of two qubits, the one with the lower number is always the control."""

    def compiled(self, item: Any) -> list[Any]:
        if item.operation.name != "cx":
            return [item]
        return [item.replace(qubits=sorted(item.qubits, key=lambda qubit: qubit._index))]


@defect("test_what_is_transpiled_passes_the_checks_of_run", "Unable to translate")
class GatesForgotten(GoodVendor):
    """The gates that it has cannot make all others."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        gates = [gate for gate in row["gates"] if gate != "sx"]
        return super().configured({**row, "gates": gates})


@defect("test_qiskits_primitives_run_on_the_handle", "no identifier: '__c")
class NamesMustBeIdentifiers(GoodVendor):
    """Registers are sent as OpenQASM 2, whose names begin with a letter; those of Qiskit's primitives do not."""

    def packed(self, pub: Any) -> Any:
        for register in pub.circuit.cregs:
            if not register.name[0].isalpha():
                raise ValueError(f"no identifier: {register.name!r}")
        return super().packed(pub)


# -- handles of the vendor's own --------------------------------------------------------------------------


class _OwnHandle(GoodVendor):
    """A vendor with a class of its own for its backends."""

    handle = ""

    @qp.hookimpl
    def qprovider_provider(self) -> Any:
        return attrs.evolve(super().qprovider_provider(), backend_class=f"_defects.handles:{self.handle}")


@defect("test_what_cannot_run_is_refused_before_anything_is_sent", "no shots is accepted")
class WrongIsBentRight(_OwnHandle):
    """Numbers of shots that it does not have become the nearest that it has."""

    handle = "Bending"


@defect("test_what_cannot_run_is_refused_before_anything_is_sent", "refused, but it was sent to the vendor first")
class RefusedByTheService(_OwnHandle):
    """What cannot run is sent, and refused there."""

    handle = "Trusting"


@defect("test_refusals_are_explained", "says neither why nor what to do next")
class RefusalInAWord(_OwnHandle):
    """What is wrong is not said."""

    handle = "Terse"
