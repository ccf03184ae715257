"""The emulated IBM service that a run's benches share, and how their processes find it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Measure, timed
from benchmarks._sizes import Sizes

if TYPE_CHECKING:
    from qprovider_ibm.emulator import Emulator

_BASE, _URL = "BENCH_BASE", "BENCH_RUNTIME_URL"
_TOKEN, _INSTANCE = "BENCH_TOKEN", "BENCH_INSTANCE"


def start(sizes: Sizes) -> Emulator:
    """The service, with a history of jobs."""
    from qprovider_ibm.emulator import Emulator

    return Emulator(backends=sizes.backends, latency_s=sizes.latency_s, usage_limit_s=1e9)


def environment(emulator: Emulator) -> dict[str, str]:
    """What processes need to use it, with either client."""
    instance = next(iter(emulator.instances.values()))
    return {
        **emulator.environment(instance),
        **emulator.runtime_environment(),
        _BASE: emulator.base,
        _URL: emulator.runtime_url,
        _TOKEN: emulator.api_key,
        _INSTANCE: instance,
    }


def credentials() -> tuple[str, str]:
    """API key and instance."""
    return os.environ[_TOKEN], os.environ[_INSTANCE]


def runtime_url() -> str:
    return os.environ[_URL]


def control(method: str, what: str, body: Any = None) -> Any:
    """A call of the emulator's own."""
    import requests

    answer = requests.request(method, f"{os.environ[_BASE]}/_emulator/{what}", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def counted(work: Callable[[], Any], tell: Callable[[Any], str | None]) -> Measure:
    """Seconds of one call, the requests that it made, and what `tell` says of its answer."""
    control("DELETE", "requests")
    seconds, answer = timed(work)
    return Measure(seconds, control("GET", "requests")["count"], tell(answer))
