"""Providers, accounts, and how long a call may take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import attrs

from qprovider_core.records._base import Record, as_tuple, of_type, texts, time_field
from qprovider_core.secret import Secret

if TYPE_CHECKING:
    from qprovider_core.records.backends import BackendInfo


@attrs.frozen(kw_only=True, repr=False)
class TokenCredentials(Record):
    """Credentials that are one token or API key. A vendor that needs more subclasses this or brings its own."""

    token: Secret = attrs.field(metadata={"help": "API token or key"})


@attrs.frozen(kw_only=True, repr=False)
class ProviderSpec(Record):
    """What a vendor's plugin says of itself. `name` and `title` are enough for one without credentials.

    Attributes:
        name: Short lower-case name, as in ``local:aer_simulator``.
        title: The name as people know it.
        description: One line for listings.
        credentials: An attrs class with the fields of an account. None: no credentials are needed, and
            there is one account that is simply there.
        credentials_help: Where a newcomer gets the token; shown when there is no account.
        extra_fields: Names of the vendor's own criteria, kept in `BackendInfo.extra`.
        run_options: Names that `Backend.run` accepts for this vendor beside the common ones.
        default_shots: Shots of a circuit when none are given, >= 1.
        max_tags: How many tags a user may give a job, beside the one that carries the core's key; None for no limit.
            0: the vendor has no tags.
        max_tag_length: Longest tag, in characters, >= 1; None for no limit.
        min_poll_s: Shortest pause between two looks at a job, in seconds.
        settle_time_s: How long after a submission whose answer was lost the vendor may still not list the job; only
            after that does `SubmissionOutcome.ABSENT` mean that it did not arrive.
        list_age_s: For how long its list of backends, and a backend's status, is worth believing, in seconds. 0:
            asking costs nothing, as on this machine, and nothing that it tells is remembered.
        process_bound: Whether its jobs end with the Python process that submitted them, such as simulations on this
            machine; a backend's own `BackendInfo.process_bound` goes before it.
        requires: Distributions that the plugin needs when it is used, as pip takes them (``acme-client>=2,<3``). They
            are looked up by their metadata, without importing them; while one is missing the plugin is not used, and
            whoever asks for it is told what to install.
        on_request: Whether an account that needs nothing takes part only in queries that name the provider, since
            opening it is slow. One that was saved, or that the environment gives, takes part in all.
        backend_class, job_class: In-process only: import strings (``package.module:Class``) of subclasses
            of the core's handles.
        emulator: Import string (``package.module:function``) of a function that runs the vendor's service on this
            machine in the foreground, for ``qprovider emulate``. It is called with the list of the command line's
            further arguments, prints the lines that point a shell at it, and returns the exit code, None for 0.
        contract: Import string of what the contract tests are told of this plugin: a subclass of
            `qprovider_core.testing.ProviderContract`, or a mapping of declarations.
    """

    name: str = attrs.field()
    title: str = attrs.field(validator=of_type(str))
    description: str = attrs.field(default="", validator=of_type(str))
    credentials: type | None = attrs.field(default=None, validator=of_type(type, optional=True))
    credentials_help: str = attrs.field(default="", validator=of_type(str))
    extra_fields: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=texts)
    run_options: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=texts)
    default_shots: int = attrs.field(default=1024, validator=[of_type(int), attrs.validators.ge(1)])
    max_tags: int | None = attrs.field(default=None, validator=of_type(int, optional=True))
    max_tag_length: int | None = attrs.field(
        default=None, validator=attrs.validators.optional([of_type(int), attrs.validators.ge(1)])
    )
    min_poll_s: float = attrs.field(default=0.5, validator=attrs.validators.gt(0))
    settle_time_s: float = attrs.field(default=30.0, validator=attrs.validators.ge(0))
    list_age_s: float = attrs.field(default=15.0, validator=attrs.validators.ge(0))
    process_bound: bool = attrs.field(default=False, validator=of_type(bool))
    requires: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=texts)
    on_request: bool = attrs.field(default=False, validator=of_type(bool))
    backend_class: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    job_class: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    emulator: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    contract: str | None = attrs.field(default=None, validator=of_type(str, optional=True))

    def ends_with_process(self, backend: BackendInfo | None) -> bool:
        """Whether jobs on that backend end with the process that submits them."""
        own = None if backend is None else backend.process_bound
        return self.process_bound if own is None else own

    @name.validator
    def _check_name(self, attribute: object, value: object) -> None:
        if not isinstance(value, str) or not value.isascii() or not value.replace("_", "a").isalnum():
            raise ValueError(f"a provider's name is letters, digits and underscores, not {value!r}")
        if value != value.lower() or not value[0].isalpha() or len(value) > 40:
            raise ValueError(
                f"a provider's name is lower case, begins with a letter, has at most 40 characters: {value!r}"
            )


@attrs.frozen(kw_only=True, repr=False)
class AccountRef(Record):
    """Which account a call is made for."""

    provider: str
    name: str = "default"


@attrs.frozen(kw_only=True, repr=False)
class ForeignAccount(Record):
    """An account that the vendor's own client saved on this machine. It is read, never changed.

    Attributes:
        name: As that client calls it. Empty when `problem` is about the whole source, such as a damaged file.
        fields: Name to value, as the provider's credentials class calls them; secrets are `Secret`.
        is_default: Whether that client would take it when none is named; true of one at most.
        source: Which client, and where it keeps it, such as ``qiskit-ibm-runtime, ~/.qiskit/qiskit-ibm.json``.
        problem: Why it cannot be used, in words for the user, such as "it belongs to a service that has been
            shut down"; None when it can.
        hint: What to do about the problem, one or two sentences.
        removal: How to delete it with that client, as a command or a line of Python.
    """

    name: str = attrs.field(validator=of_type(str))
    fields: Mapping[str, Any] = attrs.field(factory=dict, validator=of_type(Mapping))
    is_default: bool = attrs.field(default=False, validator=of_type(bool))
    source: str = attrs.field(validator=of_type(str))
    problem: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    hint: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    removal: str | None = attrs.field(default=None, validator=of_type(str, optional=True))

    @name.validator
    def _check_name(self, attribute: object, value: str) -> None:
        if not value and not self.problem:
            raise ValueError("only a problem with the whole source has no name")


@attrs.frozen(kw_only=True, repr=False)
class Usage(Record):
    """Quantum time used and left, in seconds; None where the vendor does not say."""

    consumed_s: float | None = None
    remaining_s: float | None = None
    limit_s: float | None = None
    period_start: datetime | None = time_field()
    period_end: datetime | None = time_field()


@attrs.frozen(kw_only=True, repr=False)
class InstanceInfo(Record):
    """One place of the account where backends are offered and jobs are billed.

    Attributes:
        usage: None where the vendor does not say, or was not asked; problem: why it could not be had, one line.
    """

    name: str
    id: str | None = None
    plan: str | None = None
    region: str | None = None
    usage: Usage | None = None
    problem: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class AccountInfo(Record):
    """Who the account is, and what it may use."""

    owner: str | None = None
    plan: str | None = None
    instances: tuple[InstanceInfo, ...] = attrs.field(default=(), converter=as_tuple)
    usage: Usage | None = None


@attrs.frozen
class Deadline:
    """The moment by which a call must have ended.

    Attributes:
        at: On this process's `time.monotonic` clock, in seconds; infinity for no limit.
    """

    at: float

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """The deadline `seconds` from now; None for no limit."""
        return cls(float("inf") if seconds is None else time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def timeout(self) -> float | None:
        """Seconds left as blocking calls take it: None for no limit."""
        return None if self.at == float("inf") else self.remaining_s()
