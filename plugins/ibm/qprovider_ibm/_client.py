"""The calls of the service, one function each: paths, headers and limits. Answers are JSON types, unread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from qprovider_core.errors import InvalidInputError, ResponseError
from qprovider_core.records import Deadline
from qprovider_ibm._auth import token_source
from qprovider_ibm._credentials import IBMCredentials
from qprovider_ibm._endpoints import Endpoints, endpoints_for
from qprovider_ibm._errors import read_refusal, refused
from qprovider_ibm._http import Answer, transport
from qprovider_ibm.version import __version__

API_VERSION = "2026-04-15"  # the newest one that this client knows; it selects the shape of answers
JOBS_A_PAGE = 200  # the most that the service gives
_SUBMIT_READ_S = 900.0
_SUBMIT_SHARE = 0.9  # of the time that a submission has
_RESULT_READ_S = 300.0
_MOST_RESULT_BYTES = 2 << 30
_INSTANCES_A_PAGE = 100
_MOST_PAGES = 100


class Client:
    """The service as one account sees it. Safe to share between threads; keeps nothing but connections."""

    def __init__(self, credentials: IBMCredentials) -> None:
        self.endpoints: Endpoints = endpoints_for(credentials)
        self._transport = transport(
            proxies=credentials.proxies,
            proxy_username=credentials.proxy_username,
            proxy_password=credentials.proxy_password,
            proxy_ntlm=credentials.proxy_ntlm,
            verify=credentials.verify,
        )
        self._tokens = token_source(self._transport, self.endpoints.iam, credentials.token)

    def sign_in(self, deadline: Deadline) -> None:
        """Exchange the key for a token, unless there is a good one.

        Raises:
            AuthenticationError: The key is not accepted.
        """
        self._tokens.token(deadline)

    def token_text(self, deadline: Deadline) -> str:
        """The bearer token itself, for reading its claims."""
        return self._tokens.token(deadline).reveal()

    # -- asking -------------------------------------------------------------------------------------------

    def _ask(self, method: str, url: str, deadline: Deadline, place: str, **more: Any) -> Answer:
        """Send with a token; once more with another one when this one is rejected."""
        token = self._tokens.token(deadline)
        answer = self._transport.send(method, url, deadline=deadline, place=place, token=token, **more)
        if answer.status == 401:
            token = self._tokens.renewed(token, deadline)
            answer = self._transport.send(method, url, deadline=deadline, place=place, token=token, **more)
        return answer

    def _api(
        self,
        method: str,
        crn: str,
        path: str,
        deadline: Deadline,
        *,
        accept: str = "application/json",
        good: Iterable[int] = (200, 204),
        **more: Any,
    ) -> Answer:
        """A call of the Quantum API for one instance.

        Raises:
            IBMApiError: The answer is none of the `good` statuses.
        """
        place = f"{method} {path}"
        headers = {
            "Service-CRN": crn,
            "IBM-API-Version": API_VERSION,
            "Accept": accept,
            "X-Qx-Client-Application": _application(),
        }
        if function := os.environ.get("QISKIT_FUNCTIONS_IDENTIFIER"):  # set inside IBM's Functions service
            headers["IBM-API-Function-Id"] = _header_text(function)
        answer = self._ask(method, self.endpoints.api(crn) + path, deadline, place, headers=headers, **more)
        if answer.status not in good:
            raise refused(read_refusal(answer.status, answer.body, place, answer.retry_after_s))
        return answer

    # -- instances ----------------------------------------------------------------------------------------

    def search_instances(self, deadline: Deadline, *, patient: bool = True) -> list[Mapping[str, Any]]:
        """All instances that the key sees, as Global Search lists them.

        Args:
            patient: Whether it is asked again after an answer of 500 or above.
        """
        url, place = f"{self.endpoints.search}/v3/resources/search", "the search for instances"
        wanted: dict[str, Any] = {
            "query": "service_name:quantum-computing",
            "fields": ["crn", "service_plan_unique_id", "name", "doc", "tags"],
        }
        found: list[Mapping[str, Any]] = []
        cursors: set[str] = set()
        for _ in range(_MOST_PAGES):
            answer = self._ask(
                "POST",
                url,
                deadline,
                place,
                query={"limit": _INSTANCES_A_PAGE},
                data=wanted,
                repeatable=True,
                repeat_broken=patient,
            )
            if answer.status != 200:
                raise refused(read_refusal(answer.status, answer.body, place, answer.retry_after_s))
            page = an_object(answer)
            items = page.get("items")
            found += [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
            cursor = page.get("search_cursor")
            # Only a missing cursor means the end: what the key may not see can leave a page empty.
            if not isinstance(cursor, str) or not cursor or cursor in cursors:
                return found
            cursors.add(cursor)
            wanted["search_cursor"] = cursor
        return found

    def plan(self, plan_id: str, deadline: Deadline) -> Mapping[str, Any] | None:
        """A plan of the catalog; None for one that is archived."""
        url, place = f"{self.endpoints.catalog}/{quote(plan_id, safe='')}", "the look-up of a plan"
        answer = self._ask("GET", url, deadline, place)
        if answer.status in (403, 404):
            return None
        if answer.status != 200:
            raise refused(read_refusal(answer.status, answer.body, place, answer.retry_after_s))
        return an_object(answer)

    def instances_called(self, name: str, deadline: Deadline) -> list[Mapping[str, Any]]:
        """The resource controller's instances of that name."""
        url = f"{self.endpoints.resource_controller}/v2/resource_instances"
        place = "the look-up of an instance"
        answer = self._ask("GET", url, deadline, place, query={"name": name})
        if answer.status != 200:
            raise refused(read_refusal(answer.status, answer.body, place, answer.retry_after_s))
        resources = an_object(answer).get("resources")
        return [one for one in resources if isinstance(one, Mapping)] if isinstance(resources, list) else []

    def usage(self, crn: str, deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("GET", crn, "/instances/usage", deadline))

    # -- backends -----------------------------------------------------------------------------------------

    def backends(self, crn: str, deadline: Deadline, *, mocks: bool = False, waits: bool = False) -> Mapping[str, Any]:
        query = {**({"include_mocks": "True"} if mocks else {}), **({"fields": "wait_time_seconds"} if waits else {})}
        return an_object(self._api("GET", crn, "/backends", deadline, query=query or None))

    def configuration(self, crn: str, name: str, deadline: Deadline, calibration_id: str | None = None) -> Answer:
        query = {"calibration_id": calibration_id} if calibration_id else None
        return self._api("GET", crn, f"/backends/{_part(name)}/configuration", deadline, query=query)

    def properties(
        self, crn: str, name: str, deadline: Deadline, before: datetime | None = None, calibration_id: str | None = None
    ) -> Answer:
        query = {"calibration_id": calibration_id} if calibration_id else {}
        if before is not None:
            query["updated_before"] = utc_text(before)
        return self._api("GET", crn, f"/backends/{_part(name)}/properties", deadline, query=query or None)

    def status(self, crn: str, name: str, deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("GET", crn, f"/backends/{_part(name)}/status", deadline))

    # -- jobs ---------------------------------------------------------------------------------------------

    def create_job(self, crn: str, job: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
        """Submit. Sent again only where it certainly did not arrive: no connection, or a limit of the rate."""
        # Some time is left to look for a job whose answer did not come.
        silence_s = min(_SUBMIT_READ_S, _SUBMIT_SHARE * deadline.remaining_s())
        answer = self._api("POST", crn, "/jobs", deadline, data=job, read_timeout_s=silence_s, repeat_broken=False)
        return an_object(answer)

    def job(self, crn: str, job_id: str, deadline: Deadline, *, params: bool = False) -> Mapping[str, Any]:
        query = None if params else {"exclude_params": "true"}
        more: dict[str, Any] = {"most_bytes": _MOST_RESULT_BYTES, "read_timeout_s": _RESULT_READ_S} if params else {}
        return an_object(self._api("GET", crn, f"/jobs/{_part(job_id)}", deadline, query=query, **more))

    def jobs(self, crn: str, query: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("GET", crn, "/jobs", deadline, query={"exclude_params": "true", **query}))

    def results(self, crn: str, job_id: str, deadline: Deadline) -> bytes | None:
        """The result's text; None when there is none, yet or any more."""
        answer = self._api(
            "GET",
            crn,
            f"/jobs/{_part(job_id)}/results",
            deadline,
            accept="*/*",
            read_timeout_s=_RESULT_READ_S,
            most_bytes=_MOST_RESULT_BYTES,
        )
        return None if answer.status == 204 else answer.body

    def logs(self, crn: str, job_id: str, deadline: Deadline) -> str | None:
        answer = self._api(
            "GET", crn, f"/jobs/{_part(job_id)}/logs", deadline, accept="text/plain", good=(200, 204, 404)
        )
        return answer.body.decode("utf-8", "replace") if answer.status == 200 else None

    def metrics(self, crn: str, job_id: str, deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("GET", crn, f"/jobs/{_part(job_id)}/metrics", deadline))

    def cancel(self, crn: str, job_id: str, deadline: Deadline) -> bool:
        """False: it was in a final state."""
        answer = self._api(
            "POST", crn, f"/jobs/{_part(job_id)}/cancel", deadline, good=(200, 204, 409), repeatable=True
        )
        return answer.status != 409

    def delete(self, crn: str, job_id: str, deadline: Deadline) -> None:
        self._api("DELETE", crn, f"/jobs/{_part(job_id)}", deadline)

    def put_tags(self, crn: str, job_id: str, tags: Iterable[str], deadline: Deadline) -> None:
        self._api("PUT", crn, f"/jobs/{_part(job_id)}/tags", deadline, data={"tags": list(tags)})

    # -- sessions -----------------------------------------------------------------------------------------

    def create_session(self, crn: str, session: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("POST", crn, "/sessions", deadline, data=session))

    def session(self, crn: str, session_id: str, deadline: Deadline) -> Mapping[str, Any]:
        return an_object(self._api("GET", crn, f"/sessions/{_part(session_id)}", deadline))

    def close_session(self, crn: str, session_id: str, deadline: Deadline, *, cancel: bool) -> None:
        path = f"/sessions/{_part(session_id)}"
        if cancel:
            self._api("DELETE", crn, f"{path}/close", deadline)
        else:
            self._api("PATCH", crn, path, deadline, data={"accepting_jobs": False}, good=(200, 204, 404))


def _part(text: str) -> str:
    """A name as one part of a path.

    Raises:
        InvalidInputError: It is none: dots alone would lead to another place.
    """
    if not text.strip("."):
        raise InvalidInputError(f"{text!r} is no name of a backend, a job or a session.")
    return quote(text, safe="")


def utc_text(moment: datetime) -> str:
    """A time as the service takes it: UTC with ``Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def an_object(answer: Answer) -> Mapping[str, Any]:
    """The answer as a JSON object; an empty body is an empty one.

    Raises:
        ResponseError: It is something else.
    """
    if not answer.body.strip():
        return {}
    data = answer.json()
    if not isinstance(data, dict):
        raise ResponseError(f"The answer to {answer.place} is a {type(data).__name__}; an object was expected.")
    return data


def _header_text(text: str) -> str:
    """The text as a header takes it: what is not plain and printable becomes a question mark."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text.strip())


def _application() -> str:
    """What this client calls itself; IBM shows it as a job's caller."""
    from importlib.metadata import PackageNotFoundError, version  # late: not needed for listing accounts

    suffix = _header_text(os.environ.get("QISKIT_IBM_RUNTIME_CUSTOM_CLIENT_APP_HEADER", ""))
    if os.environ.get("USAGE_DATA_OPT_OUT") == "True":
        return f"qprovider/{suffix}" if suffix else "qprovider"
    global _versions
    if _versions is None:
        try:
            _versions = f"qprovider-{__version__},qiskit-{version('qiskit')}"
        except PackageNotFoundError:
            _versions = f"qprovider-{__version__}"
    return f"qiskit-version-2/{_versions}/{suffix or 'qprovider'}"


_versions: str | None = None
