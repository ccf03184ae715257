"""Records: JSON both ways, strict, frozen, readable; garbage is told from sound ones."""

import copy
import json
import math
import pickle
import string
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qprovider_core import records
from qprovider_core.errors import ResponseError
from qprovider_core.records import (
    AccountInfo,
    AccountRef,
    BackendConfiguration,
    BackendInfo,
    BackendRef,
    BackendStatus,
    Deadline,
    EstimatePub,
    EstimatePubResult,
    ForeignAccount,
    GateCalibration,
    GateConfiguration,
    InstanceInfo,
    JobDetails,
    JobEvent,
    JobInfo,
    JobPage,
    JobQuery,
    JobRecord,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    JobUsage,
    ListProblem,
    Measured,
    PropertiesContent,
    ProviderSpec,
    QubitCalibration,
    QueueInfo,
    RegisterBits,
    SamplePub,
    SamplePubResult,
    SessionInfo,
    SessionRequest,
    Submission,
    SubmissionOutcome,
    TokenCredentials,
    Usage,
)
from qprovider_core.records._base import Record
from qprovider_core.secret import Secret

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

texts = st.text(max_size=8)
names = st.text(string.ascii_lowercase, min_size=1, max_size=6)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
flags = st.booleans()
times = st.datetimes(
    datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])
)
scalars = st.none() | flags | st.integers() | numbers | texts
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2))
free = st.dictionaries(names, anything, max_size=3)


def optional(strategy: Any) -> Any:
    return st.none() | strategy


def tuples(strategy: Any) -> Any:
    return st.lists(strategy, max_size=3).map(tuple)


def building(kind: type, required: dict[str, Any], /, **others: Any) -> Any:
    return st.fixed_dictionaries(required, optional=others).map(lambda fields: kind(**fields))


refs = building(BackendRef, {"name": texts}, instance=optional(texts))
usages = building(Usage, {}, consumed_s=optional(numbers), remaining_s=optional(numbers), period_start=optional(times))
measured = st.builds(Measured, numbers, optional(times))
values = st.dictionaries(names, measured, max_size=3)
gate_confs = building(
    GateConfiguration,
    {"name": names},
    parameters=tuples(texts),
    coupling_map=optional(tuples(tuples(counts))),
    qasm_def=optional(texts),
)
registers = st.integers(0, 20).flatmap(
    lambda bits: st.builds(
        RegisterBits,
        name=names,
        num_bits=st.just(bits),
        data=st.binary(min_size=4 * ((bits + 7) // 8), max_size=4 * ((bits + 7) // 8)),
    )
)
sampled = building(SamplePubResult, {"shots": st.just(4), "registers": tuples(registers)}, metadata=free) | building(
    SamplePubResult, {"shots": counts, "counts": st.dictionaries(texts, counts, max_size=3)}, metadata=free
)
sampled |= building(
    SamplePubResult, {"shots": st.just(2), "shape": st.sampled_from([(2,), (1, 2)]), "registers": tuples(registers)}
)
estimated = building(
    EstimatePubResult,
    {"evs": tuples(numbers)},
    stds=optional(tuples(numbers)),
    metadata=free,
    fields=st.dictionaries(names, tuples(numbers), max_size=2),
) | st.lists(numbers, min_size=6, max_size=6).map(lambda evs: EstimatePubResult(evs=evs, stds=evs, shape=(2, 3)))
jobs = building(
    JobInfo,
    {"id": names, "state": st.sampled_from(JobState)},
    state_text=optional(texts),
    backend=optional(texts),
    created_at=optional(times),
    started_at=optional(times),
    tags=tuples(texts),
    error=optional(texts),
    queue=optional(building(QueueInfo, {}, position=optional(counts), estimated_start=optional(times))),
    usage=optional(building(JobUsage, {}, quantum_s=optional(numbers))),
    shots=optional(counts),
)
RECORDS = {
    BackendInfo: building(
        BackendInfo,
        {"name": names},
        instance=optional(texts),
        num_qubits=optional(counts),
        simulator=optional(flags),
        features=optional(tuples(texts)),
        median_readout_error=optional(st.floats(0, 1)),
        calibrated_at=optional(times.map(lambda t: t.astimezone(UTC))),
        extra=free,
        full_name=names,
    ),
    BackendRef: refs,
    BackendStatus: building(
        BackendStatus, {"backend_name": texts}, operational=optional(flags), pending_jobs=optional(counts)
    ),
    GateConfiguration: gate_confs,
    BackendConfiguration: building(
        BackendConfiguration,
        {"backend_name": texts},
        n_qubits=optional(counts),
        basis_gates=tuples(texts),
        gates=tuples(gate_confs),
        coupling_map=optional(tuples(st.tuples(counts, counts))),
        dt=optional(numbers),
        timing_constraints=optional(st.dictionaries(texts, counts, max_size=2)),
        rep_delay_range=optional(st.tuples(numbers, numbers)),
        coords=optional(tuples(st.tuples(numbers, numbers))),
        processor_type=optional(free),
        online_date=optional(times),
        extra=free.map(lambda data: {f"own_{key}": value for key, value in data.items()}),
    ),
    Measured: measured,
    QubitCalibration: building(QubitCalibration, {}, values=values),
    GateCalibration: building(GateCalibration, {"gate": texts, "qubits": tuples(counts)}, values=values),
    PropertiesContent: building(
        PropertiesContent, {}, qubits=tuples(building(QubitCalibration, {}, values=values)), general=values
    ),
    AccountRef: building(AccountRef, {"provider": texts}, name=texts),
    Usage: usages,
    ListProblem: building(ListProblem, {"reason": texts}, hint=optional(texts)),
    InstanceInfo: building(InstanceInfo, {"name": texts}, plan=optional(texts), usage=optional(usages)),
    AccountInfo: building(
        AccountInfo, {}, owner=optional(texts), instances=tuples(building(InstanceInfo, {"name": texts}))
    ),
    ForeignAccount: building(
        ForeignAccount, {"name": names, "source": texts}, fields=free, is_default=flags, problem=optional(texts)
    ),
    ProviderSpec: building(
        ProviderSpec,
        {"name": names, "title": texts},
        extra_fields=tuples(texts),
        max_tags=optional(counts),
        max_tag_length=optional(st.integers(1, 99)),
        default_shots=st.integers(1, 10**6),
    ),
    JobRef: building(JobRef, {"id": texts}, instance=optional(texts)),
    JobRequest: building(
        JobRequest,
        {
            "backend": refs,
            "pubs": tuples(
                building(SamplePub, {"circuit": texts, "shots": counts}, parameter_values=tuples(numbers))
                | building(
                    EstimatePub,
                    {"circuit": texts, "observables": tuples(st.dictionaries(texts, numbers, max_size=2))},
                )
            ),
        },
        kind=st.sampled_from(["sample", "estimate"]),
        options=free,
        tags=tuples(texts),
    ),
    JobInfo: jobs,
    JobEvent: building(JobEvent, {"at": times, "what": names}, text=optional(texts)),
    JobRecord: building(
        JobRecord,
        {"key": names, "provider": names, "account": names, "info": jobs},
        job_id=optional(names),
        note=optional(texts),
        options=free,
        events=tuples(building(JobEvent, {"at": times, "what": names})),
    ),
    JobPage: building(JobPage, {}, jobs=tuples(jobs), cursor=optional(texts)),
    JobQuery: building(
        JobQuery, {}, states=tuples(st.sampled_from(JobState)), created_after=optional(times), pending=optional(flags)
    ),
    JobResult: building(JobResult, {"pubs": tuples(sampled | estimated)}, metadata=free),
    JobDetails: building(JobDetails, {}, logs=optional(texts), steps=st.dictionaries(names, times, max_size=2)),
    SamplePubResult: sampled,
    EstimatePubResult: estimated,
    RegisterBits: registers,
    Submission: building(Submission, {"outcome": st.sampled_from(SubmissionOutcome)}, job=optional(jobs)),
    SessionRequest: building(
        SessionRequest, {"backend": refs}, mode=st.sampled_from(["session", "batch"]), max_time_s=optional(numbers)
    ),
    SessionInfo: building(SessionInfo, {"id": texts}, accepting_jobs=optional(flags), created_at=optional(times)),
    QueueInfo: building(QueueInfo, {}, position=optional(counts), estimated_end=optional(times)),
    JobUsage: building(JobUsage, {}, quantum_s=optional(numbers), estimated_s=optional(numbers)),
}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_record_survives_json(kind, data):
    record = data.draw(RECORDS[kind])
    told = json.loads(json.dumps(record.to_dict()))
    assert type(record).from_dict(told) == record


def test_no_record_is_left_out_of_the_json_tests():
    every = {
        kind
        for kind in vars(records).values()
        if isinstance(kind, type) and issubclass(kind, Record) and kind is not TokenCredentials
    }
    # Pubs hold circuits; they are tested inside their request.
    assert every - {SamplePub, EstimatePub} == RECORDS.keys()


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_records_are_frozen_and_show_no_none(kind, data):
    record = data.draw(RECORDS[kind])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(record, attrs.fields(kind)[0].name, None)
    shown = repr(record)
    assert shown.startswith(kind.__name__ + "(")
    assert "=None" not in shown
    assert pickle.loads(pickle.dumps(record)) == record
    assert copy.deepcopy(record) == record


def test_a_record_shows_what_was_given_and_nothing_else():
    assert repr(BackendInfo(name="one", num_qubits=4)) == "BackendInfo(name='one', num_qubits=4)"
    assert "full_name='acme:one'" in repr(BackendInfo(name="one", full_name="acme:one"))
    assert repr(JobInfo(id="a", state=JobState.DONE, created_at=NOON)).endswith("created_at=2026-03-01T12:00:00+00:00)")
    long = SamplePubResult.from_counts({f"{n:010b}": 1 for n in range(200)})
    assert "<dict of " in repr(long)


def test_credentials_never_tell_their_token():
    credentials = TokenCredentials(token=Secret("very-secret-token"))
    assert "very-secret-token" not in repr(credentials) + json.dumps(credentials.to_dict())


def test_an_announcement_with_credentials_is_json():
    spec = ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials)
    told = json.loads(json.dumps(spec.to_dict()))
    assert told["credentials"] == "qprovider_core.records.accounts:TokenCredentials"
    assert ProviderSpec.from_dict({**told, "credentials": None}).credentials is None
    with pytest.raises(ResponseError, match="credentials"):
        ProviderSpec.from_dict(told)


# --------------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        (BackendStatus, {"backend_name": "a", "operational": "false"}, "operational"),
        (BackendStatus, {"backend_name": "a", "pending_jobs": 3.7}, "pending_jobs"),
        (BackendStatus, {"backend_name": "a", "pending_jobs": True}, "pending_jobs"),
        (BackendStatus, {"backend_name": 5}, "backend_name"),
        (BackendStatus, {}, "backend_name"),
        (BackendConfiguration, {"backend_name": "a", "n_qubits": "5"}, "n_qubits"),
        (BackendConfiguration, {"backend_name": "a", "basis_gates": "cx"}, "basis_gates"),
        (BackendConfiguration, {"backend_name": "a", "basis_gates": {"cx": 1}}, "basis_gates"),
        (BackendConfiguration, {"backend_name": "a", "basis_gates": 5}, "basis_gates"),
        (BackendConfiguration, {"backend_name": "a", "coupling_map": [[0, 1], [1, "2"]]}, "coupling_map[1][1]"),
        (BackendConfiguration, {"backend_name": "a", "coupling_map": [[0, 1, 2]]}, "coupling_map[0]"),
        (BackendConfiguration, {"backend_name": "a", "gates": [{"name": "x"}, {}]}, "gates[1].name"),
        (BackendConfiguration, {"backend_name": "a", "gates": [5]}, "gates[0]"),
        (BackendConfiguration, {"backend_name": "a", "dt": float("nan")}, "dt"),
        (BackendConfiguration, {"backend_name": "a", "dt": 10**400}, "dt"),
        (BackendConfiguration, {"backend_name": "a", "timing_constraints": {"granularity": "8"}},
         "timing_constraints['granularity']"),
        (BackendConfiguration, {"backend_name": "a", "timing_constraints": [1]}, "timing_constraints"),
        (JobInfo, {"id": "a", "state": "bogus"}, "state"),
        (JobInfo, {"id": "a", "state": "done", "created_at": "2026-01-01T00:00:00"}, "created_at"),
        (JobInfo, {"id": "a", "state": "done", "created_at": "yesterday"}, "created_at"),
        (JobInfo, {"id": "a", "state": "done", "created_at": 5}, "created_at"),
        (JobInfo, {"id": "a", "state": "done", "created_at": "9999-12-31T23:59:59-05:00"}, "created_at"),
        (JobInfo, {"id": "a", "state": "done", "queue": 5}, "queue"),
        (JobInfo, {"id": "a", "state": "done", "queue": {"position": -1}}, "queue"),
        (JobResult, {"pubs": [{"shots": 1, "registers": [{"name": "c", "num_bits": 1, "data": "!"}]}]},
         "pubs[0].registers[0].data"),
        (JobResult, {"pubs": [5]}, "pubs[0]"),
        (SamplePubResult, {"shots": 4}, ""),
        (SessionInfo, {"id": "s", "mode": "other"}, "mode"),
        (PropertiesContent, {"qubits": [{"values": {"T1": {"value": "1"}}}]}, "qubits[0].values['T1'].value"),
        (PropertiesContent, {"qubits": [{"values": {"T1": {}}}]}, "qubits[0].values['T1'].value"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_with_its_path(kind, data, path):
    with pytest.raises(ResponseError) as caught:
        kind.from_dict(data)
    assert caught.value.path == path
    assert kind.__name__ in caught.value.what


@pytest.mark.parametrize("data", [None, 5, "text", [1], [("backend_name", "a")]])
def test_a_record_is_made_of_an_object_only(data):
    with pytest.raises(ResponseError, match="expected an object"):
        BackendConfiguration.from_dict(data)


def test_unknown_keys_of_an_answer_are_ignored():
    assert BackendStatus.from_dict({"backend_name": "a", "surprise": 1}) == BackendStatus(backend_name="a")


def test_unknown_keys_of_a_configuration_survive_and_read_as_attributes():
    data = {"backend_name": "a", "n_qubits": 5, "hamiltonian": {"h_str": ["X0"]}, "extra": 7}
    configuration = BackendConfiguration.from_dict(data)
    assert configuration.hamiltonian == {"h_str": ["X0"]}
    assert configuration.extra == {"hamiltonian": {"h_str": ["X0"]}, "extra": 7}
    told = configuration.to_dict()
    assert told["hamiltonian"] == {"h_str": ["X0"]}
    assert told["extra"] == 7
    assert BackendConfiguration.from_dict(told) == configuration
    with pytest.raises(AttributeError, match="has no 'no_such_thing'"):
        _ = configuration.no_such_thing
    assert not hasattr(BackendConfiguration(backend_name="a", extra={"_private": 1}), "_private")


def test_an_unknown_key_does_not_take_the_place_of_a_field():
    configuration = BackendConfiguration(backend_name="a", n_qubits=5, extra={"n_qubits": 7})
    assert configuration.n_qubits == 5
    assert configuration.to_dict()["n_qubits"] == 5


@pytest.mark.parametrize(
    ("words", "dynamic"),
    [
        ({"supported_instructions": ("cx", "if_else")}, True),
        ({"supported_features": ("dynamic_circuits",)}, True),
        ({"supported_instructions": ("cx",)}, False),
        ({}, False),
    ],
)
def test_dynamic_circuits_are_told_from_instructions_and_features(words, dynamic):
    assert BackendConfiguration(backend_name="a", n_qubits=3, **words).dynamic_circuits is dynamic
    assert BackendConfiguration(backend_name="a", n_qubits=3).num_qubits == 3


# ---------------------------------------------------------------------------------------------- a vendor's own


@attrs.frozen(kw_only=True, repr=False)
class OwnConfiguration(BackendConfiguration):
    """A vendor's configuration with a field of its own."""

    laser: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class OwnJob(JobInfo):
    """A vendor's job with a field of its own."""

    price: float | None = None


@pytest.mark.parametrize(
    "record",
    [
        OwnConfiguration(backend_name="a", laser="red", extra={"colour": 1}),
        OwnJob(id="a", state=JobState.DONE, price=1.5, tags=("x",)),
    ],
)
def test_a_subclass_of_a_record_survives_json_with_its_own_fields(record):
    told = json.loads(json.dumps(record.to_dict()))
    again = type(record).from_dict(told)
    assert again == record
    assert type(again) is type(record)


# ------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    "make",
    [
        lambda naive: JobInfo(id="a", state=JobState.DONE, created_at=naive),
        lambda naive: Measured(1.0, naive),
        lambda naive: Usage(period_start=naive),
        lambda naive: JobQuery(created_after=naive),
        lambda naive: SessionInfo(id="s", created_at=naive),
    ],
)
def test_a_naive_time_is_refused(make):
    with pytest.raises(ValueError, match="aware"):
        make(datetime(2026, 1, 1))
    make(NOON)


def test_times_are_kept_in_utc():
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    created = JobInfo(id="a", state=JobState.DONE, created_at=east).created_at
    assert created == NOON
    assert created.tzinfo is UTC


def test_a_deadline_counts_down_and_never_below_zero():
    assert Deadline.after(None).timeout is None
    assert Deadline.after(None).remaining_s() == math.inf
    assert Deadline.after(-1).remaining_s() == 0
    assert 99 < Deadline.after(100).timeout <= 100


# ----------------------------------------------------------------------------------------------------- garbage


class Word(str, Enum):  # noqa: UP042  as vendors write it
    ACTIVE = "active"


GARBAGE = [
    ({"name": None}, "its name is missing"),
    ({"name": ""}, "its name is empty"),
    ({"name": 5}, "its name is a int"),
    ({"name": "x" * 1000}, "its name has 1000 characters"),
    ({"name": "a\x1b[2J"}, "control characters"),
    ({"name": "a\nb"}, "control characters"),
    ({"num_qubits": "5"}, "num_qubits is a str, not a whole number"),
    ({"num_qubits": ""}, "num_qubits is empty, not a whole number"),
    ({"num_qubits": 5.0}, "num_qubits is a float"),
    ({"num_qubits": True}, "num_qubits is a bool"),
    ({"num_qubits": -1}, "num_qubits is negative: -1"),
    ({"num_qubits": np.array([1, 2])}, "num_qubits is a ndarray"),
    ({"pending_jobs": -3}, "pending_jobs is negative: -3"),
    ({"pending_jobs": math.nan}, "pending_jobs is a float"),
    ({"simulator": 1}, "simulator is a int, not true or false"),
    ({"operational": "yes"}, "operational is a str"),
    ({"noisy": 0}, "noisy is a int"),
    ({"instance": 5}, "instance is a int, not a text"),
    ({"status_msg": b"x"}, "status_msg is a bytes"),
    ({"version": 1.0}, "version is a float"),
    ({"description": []}, "description is a list"),
    ({"processor": {}}, "processor is a dict"),
    ({"median_two_qubit_error": math.nan}, "median_two_qubit_error is nan"),
    ({"median_two_qubit_error": math.inf}, "median_two_qubit_error is inf"),
    ({"median_two_qubit_error": 1.5}, "out of range: 1.5"),
    ({"median_two_qubit_error": 10**400}, "out of range"),
    ({"median_readout_error": -0.1}, "out of range"),
    ({"median_readout_error": "0.1"}, "median_readout_error is a str, not a number"),
    ({"median_readout_error": True}, "median_readout_error is a bool"),
    ({"clops": -1}, "clops is out of range"),
    ({"wait_s": math.nan}, "wait_s is nan"),
    ({"max_shots": 1.5}, "max_shots is a float"),
    ({"max_circuits": -1}, "max_circuits is negative"),
    ({"features": "dynamic_circuits"}, "features is not a list of texts"),
    ({"features": (1,)}, "features is not a list of texts"),
    ({"calibrated_at": "2026-01-01"}, "calibrated_at is a str, not a time"),
    ({"calibrated_at": datetime(2026, 1, 1)}, "calibrated_at has no offset: 2026-01-01"),
    ({"extra": [1]}, "extra is a list, not a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "told"), GARBAGE, ids=[next(iter(g)) + f"-{i}" for i, (g, _) in enumerate(GARBAGE)])
def test_a_garbage_record_says_what_is_wrong(fields, told):
    flaw = BackendInfo(**{"name": "one", **fields}).flaws()
    assert flaw is not None
    assert told in flaw


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_qubits": 0, "pending_jobs": 0, "simulator": False, "operational": True, "noisy": False},
        {"instance": "", "status_msg": Word.ACTIVE, "version": "1", "description": "d", "processor": "p"},
        {"median_two_qubit_error": np.float64(0.1), "median_readout_error": 1, "clops": 10**400, "wait_s": 0.0},
        {"max_shots": 10, "max_circuits": 1, "features": ["a", "b"], "calibrated_at": NOON, "extra": {}},
    ],
)
def test_a_sound_record_has_no_flaw(fields):
    assert BackendInfo(name="one", **fields).flaws() is None


def test_backends_can_be_put_in_a_set():
    assert len({BackendInfo(name="a", extra={"x": [1]}), BackendInfo(name="a", extra={"x": [1]})}) == 1


@pytest.mark.parametrize(
    "fields", [{"pending_jobs": -1}, {"pending_jobs": True}, {"pending_jobs": 1.0}, {"operational": 1}]
)
def test_a_garbage_status_cannot_be_made(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        BackendStatus(backend_name="a", **fields)


@pytest.mark.parametrize("name", ["", "Acme", "ac me", "ac-me", "1acme", "é", "x" * 41, 5, None, "_"])
def test_a_provider_name_is_short_and_plain(name):
    with pytest.raises(ValueError, match="provider's name"):
        ProviderSpec(name=name, title="T")


@pytest.mark.parametrize("fields", [{"min_poll_s": 0}, {"settle_time_s": -1}])
def test_an_announcement_with_impossible_times_is_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        ProviderSpec(name="a", title="A", **fields)


def test_bits_must_fit_the_shots():
    with pytest.raises(ValueError, match="3 bytes, but 2 shots of 9 bits take 4"):
        SamplePubResult(shots=2, registers=[RegisterBits(name="c", num_bits=9, data=b"123")])
    with pytest.raises(ValueError, match="registers or counts"):
        SamplePubResult(shots=2)
    with pytest.raises(ValueError, match="shots"):
        SamplePubResult(shots=-1, counts={})
    told = SamplePubResult.from_counts({"0": 3, "1": 4}, circuit="c")
    assert (told.shots, told.metadata) == (7, {"circuit": "c"})


def test_bits_may_be_any_buffer_and_are_not_copied():
    array = np.arange(8, dtype=np.uint8).reshape(4, 2)
    register = RegisterBits(name="c", num_bits=9, data=array)
    assert np.shares_memory(np.frombuffer(register.data, dtype=np.uint8), array)
    assert len(register.data) == 8
    assert register.data.readonly
    same = RegisterBits(name="c", num_bits=9, data=array.tobytes())
    for other in (bytearray(array), memoryview(array), array.data.toreadonly()):
        assert RegisterBits(name="c", num_bits=9, data=other) == register == same
    assert hash(register) == hash(same)
    assert repr(register) == "RegisterBits(name='c', num_bits=9, data=<8 bytes>)"
    assert json.dumps(register.to_dict()) == json.dumps(same.to_dict())
    assert RegisterBits.from_dict(register.to_dict()) == register
    assert pickle.loads(pickle.dumps(register)) == register == copy.deepcopy(register) == copy.copy(register)
    assert SamplePubResult(shots=4, registers=[register]) == SamplePubResult(shots=4, registers=[same])
    assert RegisterBits(name="c", num_bits=9, data=np.empty((0, 2), dtype=np.uint8)).data == b""
    with pytest.raises(ValueError, match="without gaps"):
        RegisterBits(name="c", num_bits=9, data=array[:, ::-1])
    with pytest.raises(TypeError, match="data"):
        RegisterBits(name="c", num_bits=9, data="text")


def test_a_shape_must_fit():
    bits = RegisterBits(name="c", num_bits=9, data=b"0" * 24)
    assert SamplePubResult(shots=2, shape=[2, 3], registers=[bits]).num_sets == 6
    assert SamplePubResult(shots=12, registers=[bits]).num_sets == 1
    with pytest.raises(ValueError, match="24 bytes, but 4 times 2 shots of 9 bits take 16"):
        SamplePubResult(shots=2, shape=(2, 2), registers=[bits])
    with pytest.raises(ValueError, match="counts are of one set"):
        SamplePubResult(shots=2, shape=(1,), counts={"0": 2})
    for shape in (3, (-1,), (1.0,), (True,), "2"):
        with pytest.raises(ValueError, match="shape must be whole numbers"):
            SamplePubResult(shots=2, shape=shape, registers=[])
    estimate = EstimatePubResult(evs=[1.0, 2.0], shape=(1, 2), fields={"other": [1.0, 2.0, 3.0]})
    assert estimate.fields == {"other": (1.0, 2.0, 3.0)}
    for wrong in ({"evs": (1.0,)}, {"evs": (1.0, 2.0), "stds": (0.1,)}):
        with pytest.raises(ValueError, match=r"but an array of shape \(1, 2\) has 2"):
            EstimatePubResult(shape=(1, 2), **wrong)
    told = {"evs": [1.0], "fields": {"other": [1.0, "x"]}}
    with pytest.raises(ResponseError) as caught:
        EstimatePubResult.from_dict(told)
    assert caught.value.path == "fields['other'][1]"


def test_only_three_states_are_final():
    assert {state for state in JobState if state.final} == {JobState.DONE, JobState.ERROR, JobState.CANCELLED}
    assert JobInfo(id="a", state=JobState.DONE, instance="i").ref == JobRef(id="a", instance="i")


@pytest.mark.parametrize(
    "fields", [{"default_shots": 0}, {"default_shots": None}, {"default_shots": 1.5}, {"max_tag_length": 0}]
)
def test_limits_of_a_provider_are_whole_numbers_of_at_least_one(fields):
    with pytest.raises((TypeError, ValueError)):
        ProviderSpec(name="acme", title="Acme", **fields)
    assert ProviderSpec(name="acme", title="Acme").default_shots == 1024


def test_a_foreign_account_without_a_name_is_a_problem_with_its_whole_source():
    assert ForeignAccount(name="", source="acme-client, ~/.acme", problem="the file is damaged").fields == {}
    for fields in ({"name": ""}, {"name": None}, {"name": "a", "fields": ["token"]}, {"name": "a", "problem": 5}):
        with pytest.raises((TypeError, ValueError)):
            ForeignAccount(source="acme-client, ~/.acme", **fields)
    account = ForeignAccount(name="a", source="acme-client", fields={"token": Secret("tok-never-shown-1")})
    assert "tok-never" not in repr(account)
