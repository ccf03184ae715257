"""An emulator of the IBM Quantum service: the whole REST protocol on one port of 127.0.0.1.

Anyone can try the plugin, test code that uses it, and teach, without an account. It needs the extra
``qprovider-ibm[emulator]``; importing this package needs nothing.

    with Emulator(backends=20, latency_s=0.05) as emulator:
        provider = IBMProvider(emulator.api_key, endpoints=emulator.endpoints())

``python -m qprovider_ibm.emulator --help`` lists the options, which `Emulator` takes as keywords. Devices come
from published calibrations of real ones; jobs really run, with the device's noise, in worker processes.
``qprovider emulate ibm`` starts it and prints the lines to paste.

Programs: `sampler`, `estimator` and `executor` (its items of the type `samplex` need IBM's package samplomatic). Jobs
on mocks have random outcomes. Circuits come as QPY of versions 13 to 17, those of `executor` in its schema v2.0 also
of version 18: that schema names no highest one, and IBM's own client writes it there.

A session is `open` until its first job runs, then `active`; `inactive` once it was without jobs for `interactive_ttl`
seconds (a batch at once), and active again with the next one. Jobs of an active one do not queue for the time that is
set, and an active session's go before others of the backend; no backend is kept free for a session that thinks. When
`max_ttl` is over, or on ``DELETE .../close``, what is queued is cancelled, and what runs ends (`pending_closed`).
A batch uses what its jobs are charged for; a session the time for which it was active, at least that.

Addresses below the base: IAM ``/identity/token``, search ``/v3/resources/search``, resource controller
``/v2/resource_instances``, catalog ``/globalcatalog/api/v1``, Quantum API ``/api/v1``.

The control API lies under ``/_emulator/`` and needs no token:

    GET    /_emulator/requests   {"count", "requests": [{"method", "path", "query", "status", "crn", "client",
                                 "encoding"}]}
    DELETE /_emulator/requests   forget them
    POST   /_emulator/faults     {"kind": KIND, ...settings}; arms a fault
    GET    /_emulator/faults     {"faults": [...], "kinds": {...}}
    DELETE /_emulator/faults     disarm them all, mend all backends
    POST   /_emulator/jobs       {"count"}; adds so many copies of the newest job that has ended
    GET    /_emulator/state      {"workers": [process ids], "jobs": number}

Faults, with their settings. Those of requests take `path` and `method`, patterns such as ``/api/v1/jobs*`` (the
path's default is ``/api/v1/*``, for latency ``*``; ``/identity/*`` is the login, ``/v3/*`` the search,
``/globalcatalog/*`` the catalog), `times` (how often they strike; without end by default) and `after` (how many
matching requests pass before):

    latency                 seconds
    expire_tokens           at once: every token given out so far is refused with 401
    rate_limit              retry_after [1]; 429, code 1202
    status                  status, body json|html|empty [json], code [1000]
    status_after            the same, once the request was processed: a job that is answered with 500 is there
    stall_after             seconds; the request is processed, and the answer comes so much later
    drop_before, drop_after the connection ends before or after the request was processed
    cut_body                how hang_up|short [hang_up]; the body ends in its middle, and the connection with it, or
                            as if that were all
    html_body               status [200]; the request is processed, and answered with a page of HTML

Those of backends take `backend`, a name, or but for the last two a pattern:

    corrupt_configuration, corrupt_properties
                            how bad_json|missing_fields|wrong_types|html|empty|not_found [bad_json], times
    slow_backend            seconds; for each request about it
    backend_status          status [offline] (online, paused, offline), reason
    faulty_qubit            qubit; the calibration says so, and circuits on it fail

Those of jobs and sessions strike those that are created later; they take `backend` (a pattern), `times` and `after`:

    job_fails               reason, code [9999], solution, text (of the results)
    job_too_long            Cancelled, reason code 1305, "Cancelled - Ran too long"
    job_stuck               it stays in the queue until it is cancelled
    job_status              status [Validating]; a word that is told instead of the state, even when it has ended
    job_crashes             its worker process dies
    job_unlisted            seconds; lists have it only so much later, as if they were copies that lag behind
    session_state           state [pending_inactive]; a word that is told instead of the state of a session or batch
"""

from __future__ import annotations

from collections.abc import Sequence

from qprovider_ibm.emulator._process import Emulator

__all__ = ["Emulator", "emulate"]


def emulate(arguments: Sequence[str]) -> int:
    """What ``qprovider emulate ibm`` runs: the emulator in the foreground, until Ctrl-C; returns the exit code."""
    from qprovider_ibm.emulator._command import emulate as run  # late: argparse

    return run(arguments)
