"""A vendor with every hook there is, that keeps every promise: a service behind HTTP, and its plugin.

Planted defects are subclasses of `GoodVendor` that do one thing wrong, hence the many small methods. The service
(`_defects/service.py`) speaks its own words and units, which are turned into ours here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from _defects.client import Client, Missing

import qprovider_core as qp

if TYPE_CHECKING:
    from qiskit.transpiler import Target

TOKEN = "a-token-of-the-good-vendor"
URL_VARIABLE = "GOOD_VENDOR_URL"

WORDS: Mapping[str, qp.JobState] = {
    "RECEIVED": qp.JobState.INITIALIZING,
    "WAITING": qp.JobState.QUEUED,
    "EXECUTING": qp.JobState.RUNNING,
    "FINISHED": qp.JobState.DONE,
    "FAILED": qp.JobState.ERROR,
    "STOPPED": qp.JobState.CANCELLED,
}


@attrs.frozen(kw_only=True, repr=False)
class GoodCredentials(qp.TokenCredentials):
    """A token, and where the service is, for those who have it elsewhere."""

    url: str | None = attrs.field(default=None, metadata={"help": "Address of the service"})


class GoodVendor:
    """The plugin."""

    us: ClassVar[float] = 1e-6
    ns: ClassVar[float] = 1e-9
    ghz: ClassVar[float] = 1e9
    percent: ClassVar[float] = 0.01
    words: ClassVar[Mapping[str, qp.JobState]] = WORDS

    # -- announcement and account -------------------------------------------------------------------------

    @qp.hookimpl
    def qprovider_provider(self) -> qp.ProviderSpec:
        return qp.ProviderSpec(
            name="good",
            title="Good Quantum",
            credentials=GoodCredentials,
            extra_fields=("room",),
            run_options=("queue_s", "run_s"),
            default_shots=500,
            min_poll_s=0.001,
            settle_time_s=0.0,
        )

    def client(self, url: str, credentials: GoodCredentials) -> Client:
        return Client(url, credentials.token)

    @qp.hookimpl
    def qprovider_open_account(self, credentials: GoodCredentials) -> Client:
        return self.client(credentials.url or os.environ[URL_VARIABLE], credentials)

    @qp.hookimpl
    def qprovider_account_info(self, connection: Client, deadline: qp.Deadline) -> qp.AccountInfo:
        told = connection.ask("GET", "/account", deadline)
        instances = tuple(qp.InstanceInfo(name=name, id=name) for name in told["instances"])
        return qp.AccountInfo(
            owner=told["owner"], plan=told["plan"], instances=instances, usage=qp.Usage(remaining_s=told["left_s"])
        )

    @qp.hookimpl
    def qprovider_close_account(self, connection: Client) -> bool:
        connection.close()
        return True

    # -- backends -----------------------------------------------------------------------------------------

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Client, deadline: qp.Deadline) -> Sequence[qp.BackendInfo]:
        return [self.listed(row) for row in connection.ask("GET", "/machines", deadline)["machines"]]

    def listed(self, row: Mapping[str, Any]) -> qp.BackendInfo:
        return qp.BackendInfo(
            name=row["name"],
            instance=row["instance"],
            num_qubits=row["qubits"],
            simulator=row["kind"] != "device",
            noisy=row["kind"] == "noisy simulator",
            operational=True,
            version=row["version"],
            max_shots=row["max_shots"],
            max_circuits=row["max_circuits"],
            median_two_qubit_error=row["median_pair_percent"] * self.percent,
            median_readout_error=row["median_readout_percent"] * self.percent,
            calibrated_at=datetime.fromisoformat(row["calibrated_at"]),
            extra={"room": "cellar"},
        )

    def machine(self, connection: Client, backend: qp.BackendRef, deadline: qp.Deadline, part: str = "") -> Any:
        try:
            return connection.ask("GET", f"/machines/{backend.name}{part}", deadline)
        except Missing as exc:
            raise qp.UnknownBackendError(backend.name, hint="List them with qprovider backends.") from exc

    @qp.hookimpl
    def qprovider_backend_configuration(
        self, connection: Client, backend: qp.BackendRef, deadline: qp.Deadline
    ) -> qp.BackendConfiguration:
        return self.configured(self.machine(connection, backend, deadline))

    def configured(self, row: Mapping[str, Any]) -> qp.BackendConfiguration:
        pairs = tuple((one, other) for one, other in row["pairs"])
        places = tuple((qubit,) for qubit in range(row["qubits"]))
        return qp.BackendConfiguration(
            backend_name=row["name"],
            backend_version=row["version"],
            n_qubits=row["qubits"],
            basis_gates=tuple(row["gates"]),
            gates=tuple(
                qp.GateConfiguration(name=name, coupling_map=pairs if name == "cx" else places) for name in row["gates"]
            ),
            coupling_map=pairs,
            supported_instructions=(*row["gates"], *row["more"]),
            simulator=row["kind"] != "device",
            memory=True,
            max_shots=row["max_shots"],
            max_experiments=row["max_circuits"],
            dt=row["dt_ns"] * self.ns,
        )

    @qp.hookimpl
    def qprovider_backend_status(
        self, connection: Client, backend: qp.BackendRef, deadline: qp.Deadline
    ) -> qp.BackendStatus:
        state = self.machine(connection, backend, deadline, "/state")
        return qp.BackendStatus(
            backend_name=backend.name, backend_version="1.2.0", operational=True, pending_jobs=state["waiting"]
        )

    @qp.hookimpl
    def qprovider_backend_properties(
        self, connection: Client, backend: qp.BackendRef, at: datetime | None, deadline: qp.Deadline
    ) -> qp.BackendProperties | None:
        before = "" if at is None else f"?before={_time(at)}"
        row = self.machine(connection, backend, deadline, f"/calibration{before}")
        return None if row is None else self.calibrated(backend.name, row)

    def calibrated(self, name: str, row: Mapping[str, Any]) -> qp.BackendProperties:
        when = datetime.fromisoformat(row["measured_at"])

        def measured(**values: float) -> dict[str, qp.Measured]:
            return {name: qp.Measured(value, when) for name, value in values.items()}

        return qp.BackendProperties(
            backend_name=name,
            backend_version="1.2.0",
            last_update=when,
            qubits=[
                qp.QubitCalibration(
                    values=measured(
                        T1=qubit["T1_us"] * self.us,
                        T2=qubit["T2_us"] * self.us,
                        frequency=qubit["frequency_ghz"] * self.ghz,
                        readout_error=qubit["readout_percent"] * self.percent,
                        readout_length=qubit["readout_ns"] * self.ns,
                        operational=float(qubit["works"]),
                    )
                )
                for qubit in row["qubits"]
            ],
            gates=[
                qp.GateCalibration(
                    gate=gate["gate"],
                    qubits=tuple(gate["qubits"]),
                    values=measured(
                        gate_error=gate["error_percent"] * self.percent, gate_length=gate["length_ns"] * self.ns
                    ),
                )
                for gate in row["gates"]
            ],
        )

    @qp.hookimpl
    def qprovider_backend_defaults(self, connection: Client, backend: qp.BackendRef, deadline: qp.Deadline) -> Any:
        return self.machine(connection, backend, deadline, "/defaults")

    @qp.hookimpl
    def qprovider_backend_target(self, connection: Client, backend: qp.BackendRef, deadline: qp.Deadline) -> Target:
        configuration = self.configured(self.machine(connection, backend, deadline))
        calibration = self.machine(connection, backend, deadline, "/calibration")
        return qp.build_target(configuration, self.calibrated(backend.name, calibration))

    # -- jobs ---------------------------------------------------------------------------------------------

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Client, request: qp.JobRequest, deadline: qp.Deadline) -> qp.JobInfo:
        return self.told(connection.ask("POST", "/jobs", deadline, self.order(request)))

    def order(self, request: qp.JobRequest) -> dict[str, Any]:
        return {
            "machine": request.backend.name,
            "circuits": [self.packed(pub) for pub in request.pubs if isinstance(pub, qp.SamplePub)],
            "options": dict(request.options),
            "tags": list(request.tags),
            "name": request.name,
            "session": request.session_id,
        }

    def packed(self, pub: qp.SamplePub) -> dict[str, Any]:
        from _defects.packing import packed  # late: it imports Qiskit

        return {"qpy": packed(pub.circuit), "values": list(pub.parameter_values), "shots": pub.shots}

    def told(self, row: Mapping[str, Any]) -> qp.JobInfo:
        """What the service says of a job."""
        place = row.get("place")
        return qp.JobInfo(
            id=row["id"],
            state=self.words.get(row["status"], qp.JobState.UNKNOWN),
            state_text=row["status"],
            backend=row["machine"],
            instance=row["instance"],
            created_at=_when(row["created"]),
            started_at=_when(row["started"]),
            ended_at=_when(row["ended"]),
            name=row["name"],
            tags=tuple(row["tags"]),
            error=row["fault"],
            queue=None if place is None else qp.QueueInfo(position=place),
            usage=None if row["used_ms"] is None else qp.JobUsage(quantum_s=row["used_ms"] / 1000),
            session_id=row["session"],
            kind="sample",
            shots=row["shots"],
        )

    def job(
        self,
        connection: Client,
        job: qp.JobRef,
        deadline: qp.Deadline,
        part: str = "",
        *,
        method: str = "GET",
        body: Any = None,
    ) -> Any:
        try:
            return connection.ask(method, f"/jobs/{job.id}{part}", deadline, body)
        except Missing as exc:
            raise qp.UnknownJobError(job.id, hint="List them with qprovider jobs.") from exc

    @qp.hookimpl
    def qprovider_get_job(self, connection: Client, job: qp.JobRef, wait_s: float, deadline: qp.Deadline) -> qp.JobInfo:
        held_s = max(0.0, min(wait_s, deadline.remaining_s() / 2))
        return self.told(self.job(connection, job, deadline, f"?wait={held_s}"))

    @qp.hookimpl
    def qprovider_job_result(self, connection: Client, job: qp.JobRef, deadline: qp.Deadline) -> qp.JobResult:
        rows = self.job(connection, job, deadline, "/result")["circuits"]
        return qp.JobResult(pubs=[self.outcomes(row) for row in rows], metadata={"service": "good"})

    def outcomes(self, row: Mapping[str, Any]) -> qp.SamplePubResult:
        """What one circuit gave."""
        return qp.SamplePubResult(shots=row["shots"], registers=[self.register(**one) for one in row["registers"]])

    def register(self, name: str, bits: int, shots: Sequence[int]) -> qp.RegisterBits:
        return qp.RegisterBits(
            name=name, num_bits=bits, data=b"".join(number.to_bytes((bits + 7) // 8, "big") for number in shots)
        )

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Client, job: qp.JobRef, deadline: qp.Deadline) -> bool:
        stopping: bool = self.job(connection, job, deadline, "/stop", method="POST")["stopping"]
        return stopping

    @qp.hookimpl
    def qprovider_list_jobs(self, connection: Client, query: qp.JobQuery, deadline: qp.Deadline) -> qp.JobPage:
        page = connection.ask("GET", "/jobs", deadline, **self.asked(query))
        return qp.JobPage(jobs=[self.told(row) for row in page["jobs"]], cursor=page["cursor"])

    def asked(self, query: qp.JobQuery) -> dict[str, Any]:
        """The query in the service's words."""
        states = set(query.states or qp.JobState)
        if query.pending is not None:
            states = {state for state in states if state.final != query.pending}
        words = [word for word, state in WORDS.items() if state in states]
        words += ["OTHER"] * (qp.JobState.UNKNOWN in states)
        return {
            "id": query.ids,
            "machine": query.backend,
            "status": words or ["NONE"],
            "tag": query.tags,
            "name": query.name,
            "session": query.session_id,
            "after": _time(query.created_after),
            "before": _time(query.created_before),
            "limit": query.limit,
            "cursor": query.cursor,
        }

    @qp.hookimpl
    def qprovider_find_submission(self, connection: Client, key: str, deadline: qp.Deadline) -> qp.Submission:
        page = connection.ask("GET", "/jobs", deadline, tag=[f"qprovider:{key}"])
        if not page["jobs"]:
            return qp.Submission(outcome=qp.SubmissionOutcome.ABSENT)
        return qp.Submission(outcome=qp.SubmissionOutcome.FOUND, job=self.told(page["jobs"][0]))

    @qp.hookimpl
    def qprovider_update_job_tags(
        self, connection: Client, job: qp.JobRef, tags: tuple[str, ...], deadline: qp.Deadline
    ) -> bool:
        self.job(connection, job, deadline, "/tags", method="PUT", body={"tags": list(tags)})
        return True

    @qp.hookimpl
    def qprovider_delete_job(self, connection: Client, job: qp.JobRef, deadline: qp.Deadline) -> bool:
        self.job(connection, job, deadline, method="DELETE")
        return True

    @qp.hookimpl
    def qprovider_job_details(self, connection: Client, job: qp.JobRef, deadline: qp.Deadline) -> qp.JobDetails:
        from _defects.packing import unpacked  # late: it imports Qiskit

        row = self.job(connection, job, deadline, "/details")
        return qp.JobDetails(
            logs=row["log"],
            circuits=tuple(unpacked(text) for text in row["circuits"]),
            options=row["options"],
            steps={step: datetime.fromisoformat(when) for step, when in row["times"].items()},
        )

    # -- sessions -----------------------------------------------------------------------------------------

    @qp.hookimpl
    def qprovider_open_session(
        self, connection: Client, request: qp.SessionRequest, deadline: qp.Deadline
    ) -> qp.SessionInfo:
        body = {"machine": request.backend.name, "mode": request.mode}
        return self.session(connection.ask("POST", "/sessions", deadline, body))

    def session(self, row: Mapping[str, Any]) -> qp.SessionInfo:
        return qp.SessionInfo(
            id=row["id"],
            mode=row["mode"],
            backend=row["machine"],
            accepting_jobs=row["open"],
            created_at=_when(row["created"]),
            closed_at=_when(row["closed"]),
        )

    @qp.hookimpl
    def qprovider_session_details(self, connection: Client, session_id: str, deadline: qp.Deadline) -> qp.SessionInfo:
        try:
            return self.session(connection.ask("GET", f"/sessions/{session_id}", deadline))
        except Missing as exc:
            raise qp.UnknownSessionError(session_id, hint="Open one.") from exc

    @qp.hookimpl
    def qprovider_close_session(self, connection: Client, session_id: str, deadline: qp.Deadline) -> bool:
        connection.ask("DELETE", f"/sessions/{session_id}", deadline)
        return True


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


vendor = GoodVendor()
