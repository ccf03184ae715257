"""Cross-cutting plugins: they observe and veto every hook, and can do nothing else to a call."""

import logging
import traceback
from types import SimpleNamespace

import pytest

import qprovider_core as qp
from qprovider_core import _plugins, _provider, fleet, hookimpl
from qprovider_core._provider import HOOKS
from qprovider_core.errors import PluginError, QProviderError, TransportError, VetoError
from qprovider_core.hookspecs import NO_ANSWER
from qprovider_core.records import (
    AccountInfo,
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    BackendStatus,
    Deadline,
    ForeignAccount,
    JobDetails,
    JobInfo,
    JobPage,
    JobQuery,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    ProviderSpec,
    SessionInfo,
    SessionRequest,
    Submission,
    SubmissionOutcome,
)
from qprovider_core.secret import Secret

# An old-style wrapper that raises after the answer makes pluggy warn; what counts is that the answer stands.
pytestmark = [
    pytest.mark.usefixtures("isolated"),
    pytest.mark.filterwarnings("ignore::pluggy.PluggyTeardownRaisedWarning"),
]

BACKEND, JOB = BackendRef(name="one"), JobRef(id="j1")
RAN = JobInfo(id="j1", state=JobState.DONE)
# Of each hook what it is called with (beside the account and the deadline) and what the vendor answers.
CALLS = {
    "qprovider_provider": ({}, ProviderSpec(name="acme", title="Acme")),
    "qprovider_foreign_accounts": ({}, (ForeignAccount(name="a", source="acme-client"),)),
    "qprovider_open_account": ({"credentials": None}, "connection"),
    "qprovider_account_info": ({}, AccountInfo(owner="me")),
    "qprovider_close_account": ({}, True),
    "qprovider_list_backends": ({}, (BackendInfo(name="one"),)),
    "qprovider_backend_configuration": ({"backend": BACKEND}, BackendConfiguration(backend_name="one")),
    "qprovider_backend_status": ({"backend": BACKEND}, BackendStatus(backend_name="one")),
    "qprovider_backend_properties": ({"backend": BACKEND, "at": None}, BackendProperties(backend_name="one")),
    "qprovider_backend_defaults": ({"backend": BACKEND}, {"buffer": 10}),
    "qprovider_backend_target": ({"backend": BACKEND}, "target"),
    "qprovider_submit_job": ({"request": JobRequest(backend=BACKEND, pubs=())}, RAN),
    "qprovider_get_job": ({"job": JOB, "wait_s": 0.0}, RAN),
    "qprovider_job_result": ({"job": JOB}, JobResult(pubs=())),
    "qprovider_cancel_job": ({"job": JOB}, True),
    "qprovider_list_jobs": ({"query": JobQuery()}, JobPage(jobs=(RAN,))),
    "qprovider_find_submission": ({"key": "k"}, Submission(outcome=SubmissionOutcome.ABSENT)),
    "qprovider_update_job_tags": ({"job": JOB, "tags": ("a",)}, True),
    "qprovider_delete_job": ({"job": JOB}, True),
    "qprovider_job_details": ({"job": JOB}, JobDetails(logs="log")),
    "qprovider_open_session": ({"request": SessionRequest(backend=BACKEND)}, SessionInfo(id="s")),
    "qprovider_close_session": ({"session_id": "s", "cancel": False}, True),
    "qprovider_session_details": ({"session_id": "s"}, SessionInfo(id="s")),
}
BEFORE_A_CONNECTION = ("qprovider_provider", "qprovider_foreign_accounts", "qprovider_open_account")
every_hook = pytest.mark.parametrize("hook", HOOKS)


def test_every_hook_has_its_tests_here():
    assert set(CALLS) == set(HOOKS)


@pytest.fixture
def setting(vendor):
    """A vendor of all hooks whose calls are counted, and a way to call one with a cross-cutting plugin around it."""
    called = []

    def implement(hook, answer):
        def implementation():
            called.append(hook)
            return state.answers.get(hook, answer)() if hook in state.answers else answer

        return implementation

    state = SimpleNamespace(called=called, answers={})
    vendor("acme", None, **{h.removeprefix("qprovider_"): implement(h, answer) for h, (_, answer) in CALLS.items()})

    def wrap(hook, function, name="guard", **options):
        marked = hookimpl(**options)(function)
        qp.register_plugin(SimpleNamespace(**{hook: marked}), name)

    def call(hook):
        called.clear()
        provider = _plugins.registry().provider("acme")
        account = fleet.fleet().party("acme").accounts[0]
        given = dict(CALLS[hook][0])
        if hook not in ("qprovider_provider", "qprovider_foreign_accounts"):
            given |= {"account": account.ref, "deadline": Deadline.after(60)}
        if hook not in BEFORE_A_CONNECTION:
            given["connection"] = "connection"
        return provider.call(hook, **given)

    state.wrap, state.call = wrap, call
    return state


def wrapper_of(hook, before=None, after=None):
    """A new-style wrapper of that hook, which names the hook's own arguments."""
    arguments = [*CALLS[hook][0]]
    if hook not in BEFORE_A_CONNECTION:
        arguments.append("connection")
    scope = {"before": before or (lambda given: None), "after": after or (lambda answer: answer)}
    exec(  # pluggy reads the names of the arguments, which differ from hook to hook
        f"def wrapper({', '.join(arguments)}):\n"
        f"    before(dict({', '.join(f'{a}={a}' for a in arguments)}))\n"
        "    answer = yield\n"
        "    return after(answer)",
        scope,
    )
    return scope["wrapper"]


@every_hook
def test_a_wrapper_sees_the_arguments_and_the_answer(hook, setting):
    seen = []

    def after(answer):
        seen.append(answer)
        return answer

    setting.wrap(hook, wrapper_of(hook, seen.append, after), wrapper=True)
    answer = setting.call(hook)
    assert answer == CALLS[hook][1]
    arguments, told = seen[-2:]
    assert CALLS[hook][0].items() <= arguments.items()
    assert told == answer
    assert setting.called == [hook]


@every_hook
@pytest.mark.parametrize(
    "exc", [ValueError("over the budget."), SystemExit("over the budget"), VetoError("over the budget")]
)
def test_a_wrapper_vetoes_before_the_vendor_is_called(hook, exc, setting):
    def before(given):
        raise exc

    setting.wrap(hook, wrapper_of(hook, before), wrapper=True)
    with pytest.raises(VetoError) as caught:
        setting.call(hook)
    assert (caught.value.plugin, caught.value.hook) == ("guard", hook)
    assert caught.value.what.startswith(f"Plugin 'guard' refused {hook} for acme: ")
    assert caught.value.what.endswith("over the budget.")
    assert "QPROVIDER_DISABLE_PLUGINS=guard" in caught.value.hint
    assert caught.value.__cause__ is exc
    assert setting.called == []


def test_a_veto_is_told_in_the_words_of_its_author(setting):
    def before(given):
        raise QProviderError("Too many shots.", why="The limit is 10.", hint="Ask for less.")

    setting.wrap("qprovider_submit_job", wrapper_of("qprovider_submit_job", before), wrapper=True)
    with pytest.raises(VetoError) as caught:
        setting.call("qprovider_submit_job")
    assert str(caught.value).splitlines() == [
        "Plugin 'guard' refused qprovider_submit_job for acme: Too many shots.",
        "The limit is 10.",
        "Ask for less. Leave it out with QPROVIDER_DISABLE_PLUGINS=guard if that is not wanted.",
    ]


@every_hook
def test_a_wrapper_cannot_skip_a_call_silently(hook, setting):
    def skip():
        if hook:
            return CALLS[hook][1]
        yield

    setting.wrap(hook, skip, wrapper=True)
    with pytest.raises(VetoError, match="'guard' refused .* did not let the call through") as caught:
        setting.call(hook)
    assert caught.value.plugin == "guard"
    assert setting.called == []


@every_hook
def test_a_wrapper_cannot_repeat_a_call(hook, setting, caplog):
    def twice():
        yield
        yield

    setting.wrap(hook, twice, wrapper=True)
    assert setting.call(hook) == CALLS[hook][1]
    assert setting.called == [hook]
    assert "the answer stands" in caplog.text


@every_hook
@pytest.mark.parametrize("other", [None, "something else", []])
def test_a_wrapper_cannot_alter_the_answer(hook, other, setting):
    setting.wrap(hook, wrapper_of(hook, after=lambda answer: other), wrapper=True)

    def force():
        outcome = yield
        outcome.force_result(other)

    def force_exception():
        outcome = yield
        outcome.force_exception(ValueError("forced"))

    setting.wrap(hook, force, "old", hookwrapper=True)
    assert setting.call(hook) == CALLS[hook][1]
    setting.wrap(hook, force_exception, "older", hookwrapper=True)
    assert setting.call(hook) == CALLS[hook][1]
    assert setting.called == [hook]


@pytest.mark.parametrize("kind", [list, iter, set, lambda items: (one for one in items)])
def test_a_wrapper_cannot_empty_a_list_or_use_up_a_generator(kind, setting):
    setting.answers["qprovider_list_backends"] = lambda: kind([BackendInfo(name="one")])

    def empty(answer):
        tuple(answer)
        if hasattr(answer, "clear"):
            answer.clear()
        return answer

    setting.wrap("qprovider_list_backends", wrapper_of("qprovider_list_backends", after=empty), wrapper=True)
    assert qp.list_backends().names() == ["acme:one"]


def test_a_wrapper_cannot_change_a_mapping(setting):
    setting.answers["qprovider_backend_defaults"] = lambda: {"buffer": 10}
    setting.wrap(
        "qprovider_backend_defaults",
        wrapper_of("qprovider_backend_defaults", after=lambda answer: answer.clear()),
        wrapper=True,
    )
    assert setting.call("qprovider_backend_defaults") == {"buffer": 10}


@every_hook
@pytest.mark.parametrize("exc", [ValueError("no space left"), SystemExit(3), KeyboardInterrupt()])
def test_an_observers_error_after_the_answer_is_logged_and_the_answer_stands(hook, exc, setting, caplog):
    def after(answer):
        raise exc

    if isinstance(exc, KeyboardInterrupt):
        exc = GeneratorExit("not the user's")
    setting.wrap(hook, wrapper_of(hook, after=after), wrapper=True)
    with caplog.at_level(logging.WARNING):
        assert setting.call(hook) == CALLS[hook][1]
    assert f"plugin 'guard' raised {type(exc).__name__}" in caplog.text
    assert f"after acme had answered {hook}" in caplog.text
    assert setting.called == [hook]


@every_hook
def test_a_wrapper_cannot_hide_the_vendors_error(hook, setting):
    def fail():
        raise TransportError("The line is cut.", hint="Wait.")

    def swallow():
        try:
            yield
        except TransportError:
            return CALLS[hook][1]

    def replace():
        try:
            yield
        except TransportError as exc:
            raise ValueError("another") from exc

    def forced():
        outcome = yield
        outcome.force_result(CALLS[hook][1])

    for name, function, style in (("a", swallow, "wrapper"), ("b", replace, "wrapper"), ("c", forced, "hookwrapper")):
        setting.wrap(hook, function, name, **{style: True})
    setting.answers[hook] = fail
    with pytest.raises(TransportError, match="The line is cut") as caught:
        setting.call(hook)
    assert caught.value.hint == "Wait."
    assert setting.called == [hook]


@pytest.mark.parametrize("hook", HOOKS[1:])  # who answers the announcement is a vendor
def test_a_replayer_answers_in_the_vendors_place(hook, setting):
    setting.wrap(hook, lambda: CALLS[hook][1], tryfirst=True)
    seen = []
    setting.wrap(hook, wrapper_of(hook, after=seen.append), "recorder", wrapper=True)
    assert setting.call(hook) == CALLS[hook][1]
    assert seen == [CALLS[hook][1]]
    assert setting.called == []


def test_a_replayer_that_fails_is_named(setting):
    def fail():
        raise ValueError("tape is torn")

    setting.wrap("qprovider_list_backends", fail, "tape", tryfirst=True)
    with pytest.raises(PluginError, match=r"The plugin 'tape' failed in qprovider_list_backends: ValueError: tape"):
        setting.call("qprovider_list_backends")


def test_a_replayer_that_has_nothing_leaves_it_to_the_vendor(setting):
    setting.wrap("qprovider_list_backends", lambda: None, "tape", tryfirst=True)
    assert setting.call("qprovider_list_backends") == CALLS["qprovider_list_backends"][1]
    assert setting.called == ["qprovider_list_backends"]


@pytest.mark.parametrize("hook", HOOKS[1:])
def test_a_replayer_says_none_in_the_vendors_place(hook, setting):
    setting.wrap(hook, lambda: NO_ANSWER, "tape", tryfirst=True)
    seen = []
    setting.wrap(hook, wrapper_of(hook, after=seen.append), "recorder", wrapper=True)
    assert setting.call(hook) is None
    assert seen == [None]
    assert setting.called == []


def test_what_is_registered_later_wraps_the_vendors_in_use_and_those_to_come(vendor, build_vendor):
    vendor("acme", [BackendInfo(name="one")])
    acme = qp.open_account("acme")
    seen = []

    @hookimpl(wrapper=True)
    def qprovider_list_backends(account):
        answer = yield
        seen.append(account.provider)
        return answer

    qp.register_plugin(SimpleNamespace(qprovider_list_backends=qprovider_list_backends), "recorder")
    acme.list_backends()
    vendor("beta", [BackendInfo(name="two")])
    qp.list_backends(provider="beta")
    assert seen == ["acme", "beta"]
    qp.unregister_plugin("recorder")
    assert qp.list_backends().names() == ["acme:one", "beta:two"]
    assert seen == ["acme", "beta"]


def test_a_veto_of_the_listing_is_that_vendors_row(vendor):
    vendor("acme", [BackendInfo(name="one")])
    vendor("beta", [BackendInfo(name="two")])

    @hookimpl(wrapper=True)
    def qprovider_list_backends(account):
        if account.provider == "acme":
            raise PermissionError("not this one")
        return (yield)

    qp.register_plugin(SimpleNamespace(qprovider_list_backends=qprovider_list_backends), "guard")
    listed = qp.list_backends()
    assert listed.names() == ["beta:two"]
    (error,) = listed.errors
    assert (error.provider, error.error) == ("acme", "VetoError")
    assert "Plugin 'guard' refused qprovider_list_backends for acme: PermissionError: not this one" in error.reason


def test_a_wrapper_of_the_announcement_watches_vendors_that_come_later(vendor):
    seen = []

    @hookimpl(wrapper=True)
    def qprovider_provider():
        seen.append((yield).name)
        return None

    qp.register_plugin(SimpleNamespace(qprovider_provider=qprovider_provider), "recorder")
    vendor("acme")
    assert seen == ["acme"]
    assert [info.provider for info in qp.plugins()] == ["acme", None]


# ---------------------------------------------------------------------------------------- the vendor's own errors


def test_the_vendors_own_errors_come_through_with_their_cause(setting):
    cause = OSError("reset")

    def fail():
        raise TransportError("The line is cut.") from cause

    setting.answers["qprovider_get_job"] = fail
    with pytest.raises(TransportError) as caught:
        setting.call("qprovider_get_job")
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("exc", "kind", "what"),
    [
        (ConnectionResetError("reset"), TransportError, "Acme could not be reached: ConnectionResetError: reset."),
        (TimeoutError(), TransportError, "Acme could not be reached: TimeoutError."),
        (ValueError("a\n b."), PluginError, "The plugin 'acme' failed in qprovider_get_job: ValueError: a b."),
        (SystemExit(3), PluginError, "The plugin 'acme' failed in qprovider_get_job: SystemExit: 3."),
        (StopIteration(), PluginError, "The plugin 'acme' failed in qprovider_get_job: StopIteration."),
        (GeneratorExit(), PluginError, "The plugin 'acme' failed in qprovider_get_job: GeneratorExit."),
    ],
)
def test_what_a_vendor_raises_becomes_an_error_of_ours(exc, kind, what, setting):
    def fail():
        raise exc

    setting.answers["qprovider_get_job"] = fail
    with pytest.raises(QProviderError) as caught:
        setting.call("qprovider_get_job")
    assert type(caught.value) is kind
    assert caught.value.what == what
    assert caught.value.__cause__ is exc


def test_the_users_own_interrupt_is_never_taken_for_a_plugins_error(setting):
    def interrupted():
        raise KeyboardInterrupt

    setting.answers["qprovider_get_job"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        setting.call("qprovider_get_job")
    # In a worker thread it cannot be the user's.
    account = fleet.fleet().party("acme").accounts[0]
    with pytest.raises(PluginError, match="KeyboardInterrupt"):
        account.ask("qprovider_get_job", job=JOB)


@pytest.mark.parametrize("hook", [h for h in HOOKS if h in _provider.ANSWERS])
def test_an_answer_of_the_wrong_type_is_the_plugins_fault(hook, setting):
    setting.answers[hook] = lambda: 5.5
    with pytest.raises(PluginError, match=f"answered {hook} with a float; a {_provider.ANSWERS[hook]}"):
        setting.call(hook)


def test_a_vendors_error_that_quotes_a_secret_does_not_reach_a_traceback(vendor):
    secret = Secret("-".join(["quoted", "in", "an", "error"]))

    def list_backends():
        raise RuntimeError(f"403 for Bearer {secret.reveal()}")

    vendor("acme", list_backends)
    account = fleet.fleet().party("acme").accounts[0]
    with pytest.raises(PluginError, match="403 for Bearer") as caught:
        account.ask("qprovider_list_backends")
    assert secret.reveal() not in "".join(traceback.format_exception(caught.value))


def test_a_wrapper_cannot_change_what_is_inside_an_answer(vendor):
    vendor("acme", [qp.BackendInfo(name="one", extra={"depth": 1})])

    @hookimpl(wrapper=True)
    def qprovider_list_backends():
        answer = yield
        answer[0].extra["depth"] = 99
        return answer

    qp.register_plugin(SimpleNamespace(qprovider_list_backends=qprovider_list_backends), "meddler")
    assert qp.list_backends()[0].extra == {"depth": 1}
