"""A backend's handle as HTML for notebooks: what is known of it without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qprovider_core._html import (
    card,
    duration_text,
    element,
    facts,
    joined,
    moment_text,
    never_raising,
    paragraph,
    said,
)
from qprovider_core._html_lists import status_mark
from qprovider_core._tables import kind_word

if TYPE_CHECKING:
    from qprovider_core._backend import Backend
    from qprovider_core.records import BackendConfiguration, BackendInfo


@never_raising
def backend_html(backend: Backend) -> str:
    """The listing's facts, those of the configuration and a map of the qubits where they have been fetched."""
    info = backend.info
    configuration = backend._configuration
    properties = backend._properties
    rows = [*_listed(info), *(_configured(configuration) if configuration is not None else ())]
    if properties is not None:
        rows.append(("calibrated", properties.last_update))
    drawing: object = ""
    if properties is not None:
        from qprovider_core._html_qubits import qubit_map  # late: a listing draws none

        drawing = qubit_map(configuration, properties)
    elif info.simulator is False and not backend._properties_known:
        call = element("code", "backend.properties()")
        drawing = paragraph("Once ", call, " has fetched its calibration, its qubits are drawn here.")
    title = joined([element("b", info.full_name), said(kind_word(info)) if kind_word(info) else ""], " · ")
    told = paragraph("As listed at ", moment_text(backend.as_of), "; ", element("code", "status()"), " asks again.")
    return card(title, facts(rows), drawing, element("div", told, style="opacity:0.75;font-size:0.9em"))


def _listed(info: BackendInfo) -> Iterator[tuple[str, Any]]:
    waiting = info.pending_jobs
    yield "status", status_mark(info)
    yield "pending jobs", waiting
    yield "estimated wait", None if info.wait_s is None else duration_text(info.wait_s)
    yield "qubits", info.num_qubits
    yield "processor", info.processor
    yield "description", info.description
    yield "version", info.version
    yield "instance", info.place
    yield "features", info.features
    yield "most shots", info.max_shots
    yield "most circuits of a job", info.max_circuits
    yield "median two-qubit error", info.median_two_qubit_error
    yield "median readout error", info.median_readout_error


def _configured(configuration: BackendConfiguration) -> Iterator[tuple[str, Any]]:
    yield "gates", configuration.basis_gates
    pairs = configuration.coupling_map
    yield "connected pairs", None if pairs is None else len({frozenset(pair) for pair in pairs})
    yield "time step", None if configuration.dt is None else f"{configuration.dt * 1e9:.3g} ns"
