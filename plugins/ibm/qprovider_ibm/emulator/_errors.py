"""Refusals, in the form in which the service answers them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

MORE_INFO = "https://cloud.ibm.com/apidocs/quantum-computing#error-handling"


class ServiceError(Exception):
    """An answer of the Quantum API that is no success."""

    def __init__(
        self, status: int, code: int, message: str, solution: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.solution = solution
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        return error_body(self.code, self.message, self.solution)


class CloudError(Exception):
    """An answer of the IAM, search or catalog service that is no success."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(str(document))
        self.status = status
        self.document = document


def error_body(code: int, message: str, solution: str = "") -> bytes:
    error = {"code": code, "message": message, "solution": solution, "more_info": MORE_INFO}
    return json.dumps({"errors": [error], "trace": secrets.token_hex(16)}).encode()


def invalid_credentials() -> ServiceError:
    return ServiceError(401, 1201, "Invalid credentials.", "Verify your credentials and try again.")


def not_authorized(message: str) -> ServiceError:
    return ServiceError(403, 1200, message, "Verify the instance's CRN and that your account may use it.")


def backend_not_found(name: str) -> ServiceError:
    return ServiceError(404, 1007, f"Backend {name} not found.", "Verify the name, and that the instance offers it.")


def backend_not_available(name: str) -> ServiceError:
    return ServiceError(400, 1004, f"Backend {name} is not available.", "Choose another backend.")


def session_not_found(session_id: str) -> ServiceError:
    return ServiceError(404, 1352, f"Session {session_id} not found.", "Verify the id, and the instance it is in.")


def job_not_found(job_id: str) -> ServiceError:
    return ServiceError(404, 1291, f"Job {job_id} not found.", "Verify the id, and the instance that the job ran in.")


def bad_request(message: str, code: int = 1239) -> ServiceError:
    return ServiceError(400, code, message, "Correct the request and send it again.")
