"""Requests over real sockets: retries, timeouts, proxies, certificates, and secrets that never show."""

from __future__ import annotations

import datetime as dt
import gzip
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qprovider_core.errors import AuthenticationError, ConfigurationError, DeadlineError, ResponseError, TransportError
from qprovider_core.records import Deadline
from qprovider_core.secret import Secret
from qprovider_ibm import IBMProvider
from qprovider_ibm._auth import TokenSource
from qprovider_ibm._http import Transport
from qprovider_ibm._http_failures import NotSentError

KEY = "a-secret-api-key-that-must-never-show-0123456789"
BEARER = "bearer.token-that-must-never.show-0123456789"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(seconds)


def ok(data: Any = None, status: int = 200, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, b"" if data is None else json.dumps(data).encode()


def token_answer(life_s: float = 3600, text: str = BEARER) -> tuple[int, dict[str, str], bytes]:
    return ok({"access_token": text, "expires_in": life_s, "token_type": "Bearer"})


def get(server: Any, transport: Transport | None = None, method: str = "GET", **more: Any) -> Any:
    transport = transport or Transport()
    deadline = more.pop("deadline", None) or soon()
    return transport.send(method, f"{server.base}/x", deadline=deadline, place="the test", **more)


# ------------------------------------------------------------------------------------------------- retries


def test_a_broken_answer_is_asked_for_again(serve):
    answers = iter([ok(status=503), ok(status=502), ok({"done": True})])
    server = serve(lambda *_: next(answers))
    assert get(server).json() == {"done": True}
    assert len(server.seen) == 3


def test_a_dropped_connection_is_tried_again_for_get_and_not_for_post(serve):
    drop = serve(lambda *_: None)
    with pytest.raises(TransportError) as caught:
        get(drop, method="POST", data={})
    assert len(drop.seen) == 1
    assert caught.value.retryable is False
    answers = iter([None, ok({})])
    flaky = serve(lambda *_: next(answers))
    assert get(flaky).status == 200


def test_a_limit_of_the_rate_is_waited_out_even_for_post(serve):
    answers = iter([ok(status=429, **{"Retry-After": "1"}), ok({"id": "j"})])
    server = serve(lambda *_: next(answers))
    started = time.monotonic()
    assert get(server, method="POST", data={}, repeat_broken=False).json() == {"id": "j"}
    assert time.monotonic() - started >= 1.0


def test_a_pause_longer_than_the_deadline_is_not_waited_for(serve):
    server = serve(lambda *_: ok(status=429, **{"Retry-After": "3600"}))
    answer = get(server, deadline=soon(5))
    assert (answer.status, answer.retry_after_s, len(server.seen)) == (429, 3600.0, 1)


@pytest.mark.parametrize("text", ["soon", "nan", "-3", ""])
def test_a_retry_after_that_is_none_does_no_harm(serve, text):
    answers = iter([ok(status=429, **{"Retry-After": text}), ok({})])
    server = serve(lambda *_: next(answers))
    assert get(server).status == 200


def test_retry_after_may_be_a_date(serve):
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    answers = iter([ok(status=503, **{"Retry-After": when.strftime("%a, %d %b %Y %H:%M:%S GMT")}), ok({})])
    server = serve(lambda *_: next(answers))
    assert get(server).status == 200


def test_retries_are_bounded(serve):
    server = serve(lambda *_: ok(status=500, **{"Retry-After": "0"}))
    assert get(server).status == 500
    assert len(server.seen) == 6


# ------------------------------------------------------------------------------------------------ failures


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_host_that_cannot_be_reached_is_named_with_the_original_error(monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    url = f"http://127.0.0.1:{closed_port()}/x"
    with pytest.raises(NotSentError, match=r"127\.0\.0\.1:\d+ cannot be reached for the test: .*refused") as caught:
        Transport().send("POST", url, deadline=soon(), place="the test", data={})
    assert caught.value.__cause__ is not None
    assert caught.value.retryable is True


def test_a_server_that_stalls_costs_no_more_than_the_deadline(serve):
    server = serve(lambda *_: time.sleep(30))
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        get(server, deadline=soon(0.4))
    assert time.monotonic() - started < 5


def test_a_server_that_drips_costs_no_more_than_the_deadline(serve):
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            try:
                for _ in range(200):
                    connection.sendall(b"x" * 10)
                    time.sleep(0.05)
            except OSError:
                pass

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        Transport().send("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/x", deadline=soon(1.0), place="the test")
    assert time.monotonic() - started < 8
    listener.close()
    thread.join(10)


def test_a_page_of_html_and_an_empty_body_are_told_as_such(serve):
    server = serve(lambda *_: (200, {}, b"<html><body>Sign in</body></html>"))
    with pytest.raises(ResponseError, match="is not JSON: it begins with '<html>"):
        get(server).json()
    empty = serve(lambda *_: (200, {}, b""))
    with pytest.raises(ResponseError, match="is empty"):
        get(empty).json()


def test_a_redirection_is_not_followed(serve):
    other = serve(lambda *_: ok({}))
    server = serve(lambda *_: (302, {"Location": f"{other.base}/x"}, b""))
    with pytest.raises(ResponseError, match="redirection"):
        get(server, token=Secret(BEARER))
    assert other.seen == []


def test_answers_are_asked_for_packed_and_unpacked_up_to_a_limit(serve):
    packed = gzip.compress(json.dumps({"a": "b" * 1000}).encode())
    server = serve(lambda *_: (200, {"Content-Encoding": "gzip"}, packed))
    assert get(server).json() == {"a": "b" * 1000}
    assert "gzip" in server.seen[0][2]["accept-encoding"]
    bomb = gzip.compress(bytes(50 << 20))
    server = serve(lambda *_: (200, {"Content-Encoding": "gzip"}, bomb))
    with pytest.raises(ResponseError, match="longer than 1 MiB"):
        get(server, most_bytes=1 << 20)


def test_the_users_netrc_and_cookies_play_no_part(serve, home, monkeypatch):
    (home / ".netrc").write_text("machine 127.0.0.1 login ann password from-netrc\n")
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    server = serve(lambda *_: ok({}, **{"Set-Cookie": "a=b"}))
    transport = Transport()
    get(server, transport)
    get(server, transport, token=Secret(BEARER))
    assert "authorization" not in server.seen[0][2]
    assert server.seen[1][2]["authorization"] == f"Bearer {BEARER}"
    assert "cookie" not in server.seen[1][2]


# --------------------------------------------------------------------------------------- proxies, certificates


def test_a_proxys_failure_is_named_as_such_with_the_original_error(serve, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    proxy = {"https": f"http://127.0.0.1:{closed_port()}"}
    with pytest.raises(TransportError, match="The proxy did not let the token exchange through") as caught:
        IBMProvider(KEY, instance=CRN, proxies=proxy)
    assert caught.value.__cause__ is not None
    assert "proxies=" in str(caught.value)


def test_the_login_and_all_else_go_through_the_proxy_with_its_password(serve):
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        return token_answer() if path.endswith("/identity/token") else ok({"devices": []})

    proxy = serve(answer)
    endpoints = dict.fromkeys(("iam", "search", "resource_controller"), "http://127.0.0.1:9")
    endpoints |= {"api": "http://127.0.0.1:9/api/v1", "catalog": "http://127.0.0.1:9/globalcatalog/api/v1"}
    provider = IBMProvider(
        KEY,
        instance=CRN,
        endpoints=endpoints,
        proxies={"urls": {"http": proxy.base}, "username_ntlm": None, "password_ntlm": None},
    )
    provider.account.ask("qprovider_list_backends")
    paths = [path for _, path, _, _ in proxy.seen]
    assert paths[0] == "http://127.0.0.1:9/identity/token"
    assert all(path.startswith("http://127.0.0.1:9/") for path in paths)
    with_user = Transport(
        proxies={"http": proxy.base}, proxy_username="ann", proxy_password=Secret("pass/word:very-private")
    )
    with_user.send("GET", "http://127.0.0.1:9/x", deadline=soon(), place="the test")
    assert proxy.seen[-1][2]["proxy-authorization"].startswith("Basic ")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate that nobody trusts, and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "cert.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def test_certificates_are_checked_on_every_call_the_login_included(serve, certificate, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    context, file = certificate
    server = serve(lambda method, path, *_: token_answer() if "token" in path else ok({"devices": []}), context=context)
    endpoints = {"iam": server.base, "api": f"{server.base}/api/v1"}
    with pytest.raises(TransportError, match="certificate of 127.0.0.1:.* is not trusted"):
        IBMProvider(KEY, instance=CRN, endpoints=endpoints)
    assert server.seen == []
    trusting = IBMProvider(KEY, instance=CRN, endpoints=endpoints, verify=str(file))
    trusting.account.ask("qprovider_list_backends")
    # A file that is not there is named as such, wherever it was named; nothing is sent or tried again.
    seen = len(server.seen)
    with pytest.raises(ConfigurationError, match="There is no CA bundle at '/nowhere/ca.pem', which verify gives"):
        IBMProvider(KEY, instance=CRN, endpoints=endpoints, verify="/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match="verify: it is empty"):
        IBMProvider(KEY, instance=CRN, endpoints=endpoints, verify="")
    assert len(server.seen) == seen
    # The environment's bundle must not win over what the account says.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with pytest.raises(ConfigurationError, match="which REQUESTS_CA_BUNDLE gives"):
        IBMProvider(KEY, instance=CRN, endpoints=endpoints)
    trusting.account.ask("qprovider_list_backends")
    assert len(server.seen) >= 4


# ------------------------------------------------------------------------------------------------- tokens


def source(server: Any, key: str = KEY) -> TokenSource:
    return TokenSource(Transport(), server.base, Secret(key))


def test_many_threads_share_one_exchange(serve):
    def slow(*_: Any) -> Any:
        time.sleep(0.2)
        return token_answer()

    server = serve(slow)
    tokens = source(server)
    found: list[Secret] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.token(soon()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.seen) == 1
    assert found == [Secret(BEARER)] * 20


def test_a_token_is_renewed_when_most_of_its_life_is_over(serve):
    numbers = iter(range(100))
    server = serve(lambda *_: token_answer(life_s=1.0, text=f"a-bearer-token-number-{next(numbers)}"))
    tokens = source(server)
    first = tokens.token(soon())
    assert tokens.token(soon()) == first
    time.sleep(0.85)
    assert tokens.token(soon()) != first
    assert len(server.seen) == 2


def test_a_failed_early_renewal_leaves_the_good_token_in_use(serve):
    answers = iter([token_answer(life_s=100.0)])
    server = serve(lambda *_: next(answers, ok(status=400)))
    tokens = source(server)
    tokens.token(soon())
    tokens._early = 0.0  # most of its life is over
    assert tokens.token(soon()) == Secret(BEARER)
    assert tokens.token(soon()) == Secret(BEARER)
    assert len(server.seen) == 2


def test_a_rejected_token_is_exchanged_once_and_the_key_is_never_sent_in_its_place(serve):
    numbers = iter(range(100))

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return token_answer(text=f"a-bearer-token-number-{next(numbers)}")
        good = headers["authorization"].endswith("number-1")
        return ok({"devices": []}) if good else ok({"errors": [{"code": 1201, "message": "no"}]}, status=401)

    server = serve(answer)
    provider = IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    provider.account.ask("qprovider_list_backends")
    assert [path for _, path, _, _ in server.seen].count("/identity/token") == 2
    assert all(KEY not in headers.get("authorization", "") for _, _, headers, _ in server.seen)


def test_a_service_that_rejects_every_token_is_asked_twice(serve):
    server = serve(
        lambda method, path, *_: (
            token_answer()
            if path == "/identity/token"
            else ok({"errors": [{"code": 1201, "message": "Invalid credentials.", "solution": "Check."}]}, status=401)
        )
    )
    with pytest.raises(AuthenticationError, match="Invalid credentials") as caught:
        IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    assert caught.value.code == "1201"
    assert [path for _, path, _, _ in server.seen].count("/api/v1/backends") == 2


def test_a_failing_iam_is_never_answered_with_the_key_itself(serve):
    server = serve(lambda *_: ok(status=500, **{"Retry-After": "0"}))
    with pytest.raises(AuthenticationError):
        IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    assert {path for _, path, _, _ in server.seen} == {"/identity/token"}


# ------------------------------------------------------------------------------------------------- secrets


def test_no_debug_output_of_any_library_shows_a_secret(serve, capfd, caplog, monkeypatch):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    caplog.set_level(logging.DEBUG)

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return token_answer()
        # A server that quotes what it was sent.
        return ok({"errors": [{"code": 1, "message": f"{headers['authorization']} {KEY}"}]}, status=400)

    server = serve(answer)
    with pytest.raises(AuthenticationError) as caught:
        IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    error = caught.value
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    shown += capfd.readouterr().out + capfd.readouterr().err + caplog.text + repr(vars(error)) + str(error)
    # The line of this file that calls with the key holds its name, not its text.
    assert KEY not in shown.replace(f"KEY = {KEY!r}", "")
    assert BEARER not in shown


def test_no_frame_of_the_http_library_is_left_in_a_report(serve, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    with pytest.raises(TransportError) as caught:
        IBMProvider(KEY, instance=CRN, endpoints={"iam": f"http://127.0.0.1:{closed_port()}"})
    report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "site-packages/requests" not in report
    assert KEY not in report
