"""What can be set about an emulated service, and its command line."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import attrs

DEFAULT_KEYS = ("emulated-api-key-0000000000000000000000000001", "emulated-api-key-0000000000000000000000000002")
DEFAULT_INSTANCES = ("open-main:open:us-east", "premium-eu:premium:eu-de")
ACCOUNT = "e30000000000000000000000000000e3"
PLANS = {
    "open": ("Open", "free"),
    "pay-as-you-go": ("Pay-as-you-go", "paygo"),
    "flex": ("Flex", "subscription"),
    "premium": ("Premium", "subscription"),
    "archived": ("Archived", "unknown"),  # the catalog answers 403
}
OPEN_PLAN_SECONDS = 600
INTERACTIVE_TTL_S = 60.0
_YEAR_S = 31_536_000


@attrs.frozen(kw_only=True)
class Instance:
    """A service instance of the account.

    Attributes:
        plan: A key of `PLANS`.
        backends: Names of the backends that it may use; None for all.
        allocated: Whether it has backends at all; the search then shows ``doc.extensions``.
    """

    name: str
    plan: str
    region: str
    backends: tuple[str, ...] | None = None
    allocated: bool = True

    @property
    def guid(self) -> str:
        return _guid(f"instance {self.name} {self.plan} {self.region}")

    @property
    def plan_id(self) -> str:
        return _guid(f"plan {self.plan}")

    @property
    def crn(self) -> str:
        return f"crn:v1:bluemix:public:quantum-computing:{self.region}:a/{ACCOUNT}:{self.guid}::"


def _guid(seed: str) -> str:
    words = "".join(f"{zlib.crc32(f'{seed} {part}'.encode()):08x}" for part in range(4))
    return "-".join((words[:8], words[8:12], words[12:16], words[16:20], words[20:]))


def parse_instance(text: str) -> Instance:
    """``NAME:PLAN[:REGION[:BACKEND,BACKEND...]]``.

    Raises:
        ValueError: It is not of this form.
    """
    name, plan, region, backends = [*text.split(":"), "", "", ""][:4]
    if not name or plan not in PLANS or text.count(":") > 3:
        raise ValueError(f"expected NAME:PLAN[:REGION[:BACKEND,...]], with a plan of {', '.join(PLANS)}, not {text!r}")
    listed = tuple(part for part in backends.split(",") if part) or None
    return Instance(name=name, plan=plan, region=region or "us-east", backends=listed)


@attrs.frozen(kw_only=True)
class Settings:
    """An emulated service. The command line's help explains each field."""

    port: int = 0
    backends: int | None = None
    latency_s: float = 0.0
    rate_limit: int | None = None
    workers: int = 1
    queue_time_s: float = 0.0
    token_lifetime_s: float = 3600.0
    api_keys: tuple[str, ...] = DEFAULT_KEYS
    instances: tuple[str, ...] = DEFAULT_INSTANCES
    duplicate_name: bool = False
    archived_plan: bool = False
    page_size: int = 100
    usage_limit_s: float | None = None
    usage_allocation_s: float | None = None
    interactive_ttl_s: float = INTERACTIVE_TTL_S
    seed: int | None = None
    parent: int | None = None

    def all_instances(self) -> tuple[Instance, ...]:
        found = [parse_instance(text) for text in self.instances]
        if self.duplicate_name:
            found += [
                Instance(name="team", plan="premium", region="us-east"),
                Instance(name="team", plan="pay-as-you-go", region="eu-de"),
            ]
        if self.archived_plan:
            found.append(Instance(name="archived", plan="archived", region="us-east"))
        return (*found, Instance(name="no-backends", plan="premium", region="us-east", allocated=False))


def settings_parser(
    prog: str = "python -m qprovider_ibm.emulator",
    description: str = "An IBM Quantum service on 127.0.0.1. It prints one line of JSON on its standard output when it"
    " is ready, and ends on SIGTERM, SIGINT, or with the process that --parent names.",
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description)
    add = parser.add_argument
    add("--port", type=int, default=0, metavar="N", help="port to listen on; 0 takes a free one (default)")
    add("--backends", type=int, metavar="N", help="number of backends; those past the bundled six are clones of them")
    add("--latency", type=float, default=0.0, metavar="S", dest="latency_s", help="seconds that each request takes")
    add(
        *("--rate-limit",),
        type=int,
        nargs="?",
        const=5,
        metavar="N",
        help="refuse more than N jobs a minute (5 without a number) with 429 and Retry-After",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes that simulate; one by default")
    add("--queue-time", type=float, default=0.0, metavar="S", dest="queue_time_s", help="seconds a job stays queued")
    add("--token-lifetime", type=float, default=3600.0, metavar="S", dest="token_lifetime_s", help="of access tokens")
    add("--api-key", action="append", metavar="KEY", dest="api_keys", help="an API key that is accepted; repeatable")
    add(
        *("--instance",),
        action="append",
        metavar="NAME:PLAN[:REGION[:BACKEND,...]]",
        dest="instances",
        help=f"a service instance; repeatable; plans: {', '.join(PLANS)} (default: {' '.join(DEFAULT_INSTANCES)})",
    )
    add("--duplicate-name", action="store_true", help="add two instances that are both called 'team'")
    add("--archived-plan", action="store_true", help="add an instance whose plan the catalog answers with 403")
    add("--page-size", type=int, default=100, metavar="N", help="most items in one answer of the search")
    add("--usage-limit", type=float, metavar="S", dest="usage_limit_s", help="seconds each instance may use")
    add(
        "--usage-allocation",
        type=float,
        metavar="S",
        dest="usage_allocation_s",
        help="seconds each plan gives",
    )
    add(
        *("--interactive-ttl",),
        type=float,
        default=INTERACTIVE_TTL_S,
        metavar="S",
        dest="interactive_ttl_s",
        help="seconds that a session without jobs stays active (default 60)",
    )
    add("--seed", type=int, metavar="N", help="of the simulations; without it they differ from run to run")
    add("--parent", type=int, metavar="PID", help="end when this process, which must be the parent, is gone")
    return parser


def settings_from_arguments(arguments: Sequence[str]) -> Settings:
    """The settings of a command line; a wrong one ends the program with a message."""
    parser = settings_parser()
    return settings_of(parser, dict(vars(parser.parse_args(arguments))))


def settings_of(parser: argparse.ArgumentParser, found: dict[str, Any]) -> Settings:
    """The settings of a command line that was parsed; a wrong one ends the program with a message."""
    for name in ("api_keys", "instances"):
        if found[name] is None:
            del found[name]
        else:
            found[name] = tuple(found[name])
    settings = Settings(**found)
    try:
        settings.all_instances()
    except ValueError as exc:
        parser.error(f"argument --instance: {exc}")
    for option, value, low, high in (
        ("--port", settings.port, 0, 65_535),
        ("--backends", settings.backends, 1, 10_000),
        ("--latency", settings.latency_s, 0, 3600),
        ("--rate-limit", settings.rate_limit, 1, sys.maxsize),
        ("--workers", settings.workers, 1, 1000),
        ("--queue-time", settings.queue_time_s, 0, _YEAR_S),
        ("--token-lifetime", settings.token_lifetime_s, 0, _YEAR_S),
        ("--page-size", settings.page_size, 1, sys.maxsize),
        ("--usage-limit", settings.usage_limit_s, 0, sys.maxsize),
        ("--usage-allocation", settings.usage_allocation_s, 0, sys.maxsize),
        ("--interactive-ttl", settings.interactive_ttl_s, 0, _YEAR_S),
        ("--seed", settings.seed, 0, 2**31 - 1),
    ):
        if value is not None and not low <= value <= high:
            parser.error(f"argument {option}: {value:g} is not between {low} and {high}")
    if not all(settings.api_keys):
        parser.error("argument --api-key: it is empty")
    return settings


def arguments_of(settings: Settings) -> list[str]:
    """The command line that gives these settings."""
    words = ["--port", str(settings.port)]
    for option, value in (
        ("--backends", settings.backends),
        ("--latency", settings.latency_s),
        ("--rate-limit", settings.rate_limit),
        ("--workers", settings.workers),
        ("--queue-time", settings.queue_time_s),
        ("--token-lifetime", settings.token_lifetime_s),
        ("--page-size", settings.page_size),
        ("--usage-limit", settings.usage_limit_s),
        ("--usage-allocation", settings.usage_allocation_s),
        ("--interactive-ttl", settings.interactive_ttl_s),
        ("--seed", settings.seed),
        ("--parent", settings.parent),
    ):
        if value is not None:
            words += [option, str(value)]
    for option, values in (("--api-key", settings.api_keys), ("--instance", settings.instances)):
        for text in values:
            words += [option, text]
    for option, wanted in (("--duplicate-name", settings.duplicate_name), ("--archived-plan", settings.archived_plan)):
        if wanted:
            words.append(option)
    return words
