"""The circuits of a job once more, as a new one."""

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

import qprovider_core as qp
from qprovider_core import hookimpl
from qprovider_core.errors import CircuitError, InvalidInputError, JobError, UnknownBackendError
from qprovider_core.records import JobDetails, JobInfo, JobState, ProviderSpec, SamplePub

pytestmark = pytest.mark.usefixtures("isolated")
SPEC = ProviderSpec(name="acme", title="Acme", run_options=("depth",))


def turned(angle=None):
    circuit = QuantumCircuit(1, 1)
    circuit.rz(Parameter("a") if angle is None else angle, 0)
    circuit.measure(0, 0)
    return circuit


def test_it_runs_with_all_that_it_ran_with(service):
    acme = service(spec=SPEC)
    job = acme.backend.run(
        turned(), shots=77, memory=True, job_tags=["t"], name="n", parameter_binds=[{"a": [0.5]}], depth=3
    )
    second = job.rerun()
    old, new = acme.sent
    assert (second.job_id(), second.key != job.key) == ("a1", True)
    assert new.tags[1:] == old.tags[1:] == ("t",)
    for name in ("backend", "memory", "options", "name", "kind", "session_id"):
        assert getattr(new, name) == getattr(old, name)
    assert new.pubs[0].parameter_values == old.pubs[0].parameter_values == (0.5,)
    assert new.pubs[0].shots == 77
    assert (second.record().rerun_of, job.record().rerun_of) == (job.key, None)
    assert second.result().get_counts() == {"0": 3, "1": 5}


def test_it_runs_from_the_ledger_in_another_handle(service):
    acme = service()
    acme.backend.run(turned(0.5), shots=9)
    second = qp.job("a0").rerun()
    assert acme.sent[1].pubs[0].circuit == turned(0.5)
    assert acme.sent[1].pubs[0].shots == 9
    assert second.record().rerun_of == qp.job("a0").key


def test_a_failed_attempt_is_run_again_too(service):
    acme = service(InvalidInputError("The shop is closed."))
    with pytest.raises(InvalidInputError):
        acme.backend.run(turned(0.5))
    [record] = qp.list_jobs(status="error", offline=True)
    assert qp.job(record.key).rerun().job_id() == "a0"


def test_a_session_is_not_joined_again(service):
    import attrs

    acme = service()
    job = acme.backend.run(turned(0.5))
    job._request = attrs.evolve(job._request, session_id="s1", key="mark-" + job.key)
    job.rerun()
    assert acme.sent[1].session_id is None
    assert acme.sent[1].key.startswith("mark-")


def test_the_vendors_copy_is_taken_where_the_ledger_has_none(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    details = JobDetails(circuits=[turned(0.5)], options={"depth": 3, "their_own": 1})
    asked = []
    acme = service(spec=SPEC, job_details=lambda: asked.append(1) or details)
    job = acme.backend.run(turned(0.5), shots=9, job_tags=["t"], name="n")
    acme.jobs["a0"] = (JobInfo(id="a0", state=JobState.DONE, backend="line", shots=9, tags=("t",)), None)
    second = qp.job("a0").rerun()
    sent = acme.sent[1]
    assert (sent.pubs[0].shots, sent.tags[1:], sent.name, dict(sent.options)) == (9, ("t",), "n", {"depth": 3})
    assert second.record().rerun_of == job.key
    assert asked == [1]


def test_the_pubs_of_the_vendor_are_sent_as_they_were(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    pubs = [SamplePub(circuit=turned(), shots=9, parameter_values=(0.5,))]
    acme = service(spec=SPEC, job_details=lambda: JobDetails(pubs=pubs))
    job = acme.backend.run(turned(0.1), job_tags=["t"])
    qp.job(job.job_id()).rerun()
    assert acme.sent[1].pubs == tuple(pubs)
    assert (acme.sent[1].kind, acme.sent[1].tags[1:]) == ("sample", ("t",))
    assert acme.sent[1].key not in ("", job.key)


def test_where_nobody_tells_how_many_shots_it_had_it_is_not_guessed(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    options = {}
    acme = service(job_details=lambda: JobDetails(circuits=[turned(0.5)], options=options))
    acme.backend.run(turned(0.5))
    with pytest.raises(JobError, match="how many shots it had"):
        qp.job("a0").rerun()
    options["shots"] = 77
    qp.job("a0").rerun()
    assert [request.pubs[0].shots for request in acme.sent[1:]] == [77]


def test_a_vendors_copy_that_is_not_whole_is_refused(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    acme = service(job_details=lambda: JobDetails(circuits=[turned()], options={"shots": 5}))
    acme.backend.run(turned(0.5))
    with pytest.raises((CircuitError, InvalidInputError)):
        qp.job("a0").rerun()
    assert len(acme.sent) == 1


@pytest.mark.parametrize("hooks", [{}, {"job_details": lambda: JobDetails()}, {"job_details": lambda: None}])
def test_without_circuits_it_cannot(hooks, service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    acme = service(**hooks)
    acme.backend.run(turned(0.5))
    with pytest.raises(JobError, match="a0 cannot be run again: its circuits are kept neither here nor") as caught:
        qp.job("a0").rerun()
    assert "QPROVIDER_LEDGER_CIRCUITS" in caught.value.hint
    assert len(acme.sent) == 1


def test_where_its_plugin_is_gone_that_is_said(service):
    service().backend.run(turned(0.5))
    qp.unregister_plugin("acme")
    with pytest.raises(UnknownBackendError) as caught:
        qp.job("a0").rerun()
    assert "its plugin or its account is gone" in str(caught.value)


def test_where_its_backend_is_gone_that_is_said(service):
    acme = service()
    acme.backend.run(turned(0.5))
    plugin = acme.backend._account.vendor._plugin
    qp.unregister_plugin("acme")

    @hookimpl
    def none_left():
        return []

    plugin.qprovider_list_backends = none_left
    qp.register_plugin(plugin, "acme")
    with pytest.raises(UnknownBackendError, match="line"):
        qp.job("a0").rerun()
    assert len(acme.sent) == 1
