"""The account's instances: where backends are offered and jobs are billed, and which of them to use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from qprovider_core._concurrency import Lanes
from qprovider_core.errors import (
    AuthenticationError,
    DeadlineError,
    InvalidInputError,
    QProviderError,
    TransportError,
    near_matches,
)
from qprovider_core.records import Deadline
from qprovider_core.secret import get_logger
from qprovider_ibm._credentials import IBMCredentials
from qprovider_ibm._endpoints import crn_of

if TYPE_CHECKING:
    from qprovider_ibm._client import Client

_log = get_logger(__name__)
K = TypeVar("K")
T = TypeVar("T")

_AT_A_TIME = 16
UNKNOWN = "unknown"
# Without a preference: what costs nothing goes first.
_PRICING = ("free", "trial", "paygo", "paid", "subscription", UNKNOWN)


@attrs.frozen(kw_only=True)
class Instance:
    """One instance.

    Attributes:
        crn: Its cloud resource name, unique.
        name: As people know it; several may share one. None when the account was given the CRN alone.
        plan: Such as ``open`` or ``premium``; pricing: such as ``free`` or ``paid``. None when not looked up,
            ``unknown`` when the catalog does not tell.
    """

    crn: str
    name: str | None = None
    plan_id: str | None = None
    plan: str | None = None
    pricing: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def region(self) -> str | None:
        """Such as ``us-east``."""
        parts = self.crn.split(":")
        return parts[5] if len(parts) > 5 and parts[5] else None

    @property
    def label(self) -> str:
        """The name, or where there is none the CRN."""
        return self.name or self.crn


def side_by_side(work: Callable[[K], T], items: Sequence[K], deadline: Deadline, what: str) -> list[T | QProviderError]:
    """`work` on each item at the same time: what it gave, or the error that it raised, in order."""
    if len(items) == 1:  # the caller's own thread will do
        try:
            return [work(items[0])]
        except QProviderError as exc:
            return [exc]
    answers = Lanes(_AT_A_TIME).map(work, items, deadline, f"ibm-{what}")
    found: list[T | QProviderError] = []
    for position in range(len(items)):
        future = answers.get(position)
        if future is None:
            found.append(DeadlineError(f"IBM Quantum gave no {what} in time."))
            continue
        raised = future.exception()
        if raised is not None and not isinstance(raised, QProviderError):
            raise raised
        found.append(future.result() if raised is None else raised)
    return found


def whole(answers: Iterable[T | QProviderError]) -> list[T]:
    """The answers, where all are needed: the first error among them is raised."""
    found: list[T] = []
    for answer in answers:
        if isinstance(answer, QProviderError):
            raise answer
        found.append(answer)
    return found


class Directory:
    """The instances of one account, looked up when first needed and kept: they change rarely."""

    def __init__(self, client: Client, credentials: IBMCredentials) -> None:
        self._client = client
        self._credentials = credentials
        self._lock = threading.Lock()
        self._all: tuple[Instance, ...] | None = None
        self._chosen: tuple[Instance, ...] | None = None

    @property
    def fixed(self) -> bool:
        """Whether the account was given a CRN, so that nothing is to be chosen."""
        return (self._credentials.instance or "").startswith("crn:")

    def all(self, deadline: Deadline, *, plans: bool = False, patient: bool = True) -> tuple[Instance, ...]:
        """All instances of the account, whatever it is restricted to.

        Args:
            patient: Whether a search that is out of order is asked again.
            plans: Whether plans are needed, too: one request for each that several instances do not share.
        """
        with self._lock:
            known = self._all
        if known is None:
            known = tuple(_read_instances(self._client.search_instances(deadline, patient=patient)))
        if plans and any(one.plan is None for one in known):
            known = self._with_plans(known, deadline)
        with self._lock:
            self._all = known
        return known

    def chosen(self, deadline: Deadline) -> tuple[Instance, ...]:
        """The instances that the account uses, the preferred one first; at least one.

        Raises:
            InvalidInputError: There is none of the given name, or several.
            AuthenticationError: The account has no instance that fits.
        """
        with self._lock:
            chosen = self._chosen
        if chosen is None:
            chosen = self._choose(deadline)
            with self._lock:
                self._chosen = chosen
        return chosen

    def crn(self, instance: str, deadline: Deadline) -> str:
        """The CRN of an instance given by its CRN or its name.

        Raises:
            InvalidInputError: It is neither.
        """
        if not isinstance(instance, str) or not instance:
            raise InvalidInputError(
                f"instance is the CRN or the name of an instance, not {instance!r}.", hint="Leave it out for all."
            )
        if instance.startswith("crn:"):
            return instance
        with self._lock:
            named = {one.crn for one in self._chosen or () if one.name == instance}
        if len(named) == 1:
            return named.pop()
        return self._called(instance, self.all(deadline), deadline).crn

    def known(self, crn: str) -> Instance:
        """What is known of an instance without asking."""
        with self._lock:
            return next(
                (one for one in (*(self._all or ()), *(self._chosen or ())) if one.crn == crn), Instance(crn=crn)
            )

    # -- choosing -----------------------------------------------------------------------------------------

    def _choose(self, deadline: Deadline) -> tuple[Instance, ...]:
        wanted = self._credentials.instance
        if wanted is not None and wanted.startswith("crn:"):
            return (Instance(crn=wanted),)
        if wanted not in (None, "auto"):
            assert wanted is not None
            try:
                found = self.all(deadline, patient=False)  # there is another service to ask
            except (TransportError, AuthenticationError) as exc:
                return (self._by_resource_controller(wanted, deadline, exc),)
            return (self._called(wanted, found, deadline),)
        found = self.all(deadline, plans=self._plans_matter(self.all(deadline)))
        fitting = self._fitting(found)
        if fitting:
            return tuple(sorted(fitting, key=self._rank))
        raise AuthenticationError(
            "This API key sees no instance of IBM Quantum"
            + (" that fits region, plans_preference and tags." if found else "."),
            why="\n".join(f"  {_described(one)}" for one in found) or None,
            hint="Relax these settings of the account."
            if found
            else "Create one at https://quantum.cloud.ibm.com/instances, or give a key of the account that has it.",
        )

    def _plans_matter(self, found: Sequence[Instance]) -> bool:
        return bool(self._credentials.plans_preference) or len(self._fitting(found, plans=False)) > 1

    def _fitting(self, found: Iterable[Instance], *, plans: bool = True) -> list[Instance]:
        tags = {tag.lower() for tag in self._credentials.tags}
        region, preferred = self._credentials.region, self._preferred()
        return [
            one
            for one in found
            if tags <= {tag.lower() for tag in one.tags}
            and (region is None or region in one.crn)
            and (not plans or not preferred or one.plan in preferred)
        ]

    def _preferred(self) -> list[str]:
        return [plan.lower() for plan in self._credentials.plans_preference]

    def _rank(self, one: Instance) -> tuple[int, str, str]:
        preferred = self._preferred()
        if preferred:
            return (preferred.index(one.plan or UNKNOWN), one.label, one.crn)
        pricing = one.pricing if one.pricing in _PRICING else UNKNOWN
        return (_PRICING.index(pricing), one.label, one.crn)

    def _called(self, name: str, found: Sequence[Instance], deadline: Deadline) -> Instance:
        """The one instance of that name; region, plans and tags decide among several."""
        named = [one for one in found if one.name == name]
        if len(named) > 1:
            if self._credentials.plans_preference:
                named = list(self._with_plans(named, deadline))
            named = self._fitting(named) or named
        if len(named) == 1:
            return named[0]
        if named:
            described = "\n".join(f"  {_described(one)}" for one in self._with_plans(named, deadline))
            raise InvalidInputError(
                f"Several instances of this account are called {name!r}.",
                why=described,
                hint="Give the CRN of the one you mean as instance=.",
            )
        names = sorted({one.name for one in found if one.name})
        if name.count("/") == 2:
            raise InvalidInputError(
                f"{name!r} is a hub/group/project of the retired service, and no instance of this account.",
                why=f"It has: {', '.join(names)}." if names else "It has none at all.",
                hint="Give the name or the CRN of an instance, or leave it out for all.",
            )
        close = near_matches(name, names)
        raise InvalidInputError(
            f"This account has no instance called {name!r}.",
            why=f"It has: {', '.join(names)}." if names else "It has none at all.",
            hint=f"Did you mean {' or '.join(map(repr, close))}?" if close else "Give a name of these, or a CRN.",
        )

    def _by_resource_controller(self, name: str, deadline: Deadline, cause: QProviderError) -> Instance:
        """The instance of that name where the search cannot be asked."""
        try:
            resources = self._client.instances_called(name, deadline)
        except QProviderError:
            raise cause from None
        named = [one for one in resources if one.get("name", name) == name]
        found = [Instance(crn=crn, name=name) for crn, _ in _usable(named)]
        return self._called(name, found, deadline)

    def _with_plans(self, found: Sequence[Instance], deadline: Deadline) -> tuple[Instance, ...]:
        """The same with their plans: each plan is asked for once, all side by side."""
        ids = sorted({one.plan_id for one in found if one.plan_id and one.plan is None})
        plans: dict[str, tuple[str, str]] = {}
        if ids:
            answers = side_by_side(lambda plan_id: self._client.plan(plan_id, deadline), ids, deadline, "plans")
            for plan_id, answer in zip(ids, answers, strict=True):
                if isinstance(answer, QProviderError):
                    _log.warning("the plan %s could not be looked up: %s", plan_id, answer.what)
                    continue
                plans[plan_id] = _read_plan(answer)
        told = []
        for one in found:
            plan, pricing = plans.get(one.plan_id or "", (UNKNOWN, UNKNOWN))
            told.append(one if one.plan is not None else attrs.evolve(one, plan=plan, pricing=pricing))
        return tuple(told)


def _read_instances(items: Iterable[Mapping[str, Any]]) -> Iterable[Instance]:
    for crn, item in _usable(items):
        doc = item.get("doc")
        if not isinstance(doc, Mapping) or not doc.get("extensions"):
            continue  # it has no backends allotted
        name, plan, tags = (item.get(key) for key in ("name", "service_plan_unique_id", "tags"))
        yield Instance(
            crn=crn,
            name=name if isinstance(name, str) and name else None,
            plan_id=plan if isinstance(plan, str) else None,
            tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        )


def _usable(items: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The items with a CRN of this service, each once: pages may overlap."""
    seen: set[str] = set()
    for item in items:
        crn = item.get("crn")
        if not isinstance(crn, str) or crn in seen:
            continue
        seen.add(crn)
        try:
            crn_of(crn)
        except ValueError as exc:
            _log.warning("one instance of the account is left out: %s", exc)
        else:
            yield crn, item


def _read_plan(data: Mapping[str, Any] | None) -> tuple[str, str]:
    """Name and pricing of a plan in lower case; ``unknown`` for what is not told."""
    name = _inner(data, "overview_ui", "en", "display_name")
    pricing = _inner(data, "metadata", "pricing", "type")
    return (name or UNKNOWN).lower(), (pricing or UNKNOWN).lower()


def _inner(data: Any, *path: str) -> str | None:
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data if isinstance(data, str) and data else None


def _described(one: Instance) -> str:
    facts = [fact for fact in (one.plan, one.region, *one.tags) if fact]
    told = f" ({', '.join(facts)})" if facts else ""
    return f"{one.label}: {one.crn}{told}"
