"""An emulator of the IBM Quantum service: the whole REST protocol on one port of 127.0.0.1.

Anyone can try the plugin, test code that uses it, and teach, without an account. It needs the extra
``qprovider-ibm[emulator]``; importing this package needs nothing.

    with Emulator(backends=20, latency_s=0.05) as emulator:
        provider = IBMProvider(emulator.api_key, endpoints=emulator.endpoints())

``python -m qprovider_ibm.emulator --help`` lists the options, which `Emulator` takes as keywords. Devices come
from published calibrations of real ones; jobs really run, with the device's noise, in worker processes.

Addresses below the base: IAM ``/identity/token``, search ``/v3/resources/search``, resource controller
``/v2/resource_instances``, catalog ``/globalcatalog/api/v1``, Quantum API ``/api/v1``.

The control API lies under ``/_emulator/`` and needs no token:

    GET    /_emulator/requests   {"count", "requests": [{"method", "path", "query", "status", "crn", "client",
                                 "encoding"}]}
    DELETE /_emulator/requests   forget them
    POST   /_emulator/faults     {"kind": KIND, ...settings}; arms a fault
    GET    /_emulator/faults     {"faults": [...], "kinds": {...}}
    DELETE /_emulator/faults     disarm them all, mend all backends
    GET    /_emulator/state      {"workers": [process ids], "jobs": number}

Faults, with their settings. Those of requests take `path` and `method`, patterns such as ``/api/v1/jobs*`` (the
path's default is ``/api/v1/*``, for latency ``*``), `times` (how often they strike; without end by default) and
`after` (how many matching requests pass before):

    latency                 seconds
    expire_tokens           at once: every token given out so far is refused with 401
    rate_limit              retry_after [1]; 429, code 1202
    status                  status, body json|html|empty [json], code [1000]
    status_after            the same, once the request was processed: a job that is answered with 500 is there
    stall_after             seconds; the request is processed, and the answer comes so much later
    drop_before, drop_after the connection ends before or after the request was processed
    cut_body                the answer's body ends in its middle

Those of backends take `backend`, a name, or but for the last two a pattern:

    corrupt_configuration, corrupt_properties
                            how bad_json|missing_fields|wrong_types|html|empty|not_found [bad_json], times
    slow_backend            seconds; for each request about it
    backend_status          status [offline] (online, paused, offline), reason
    faulty_qubit            qubit; the calibration says so, and circuits on it fail

Those of jobs strike jobs that are created later; they take `backend` (a pattern), `times` and `after`:

    job_fails               reason, code [9999], solution, text (of the results)
    job_too_long            Cancelled, reason code 1305, "Cancelled - Ran too long"
    job_stuck               it stays in the queue until it is cancelled
    job_status              status [Validating]; a word that is told instead of the state, even when it has ended
    job_crashes             its worker process dies
    job_unlisted            seconds; lists have it only so much later, as if they were copies that lag behind
"""

from __future__ import annotations

from qprovider_ibm.emulator._process import Emulator

__all__ = ["Emulator"]
