"""What the IBM plugin announces, and what an IBM account may consist of."""

import subprocess
import sys
import traceback

import pluggy
import pytest

import qprovider_ibm
from qprovider_core import hookspecs
from qprovider_core.credentials import (
    AccountStore,
    build_credentials,
    credential_fields,
    resolve_account,
)
from qprovider_core.errors import ConfigurationError, NoAccountError, UnknownOptionError
from qprovider_core.secret import Secret
from qprovider_ibm import IBMCredentials

KEY = "Ab3-0123456789_abcdefghijklmnopqrstuvwxyzABC"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"
SPEC = qprovider_ibm.qprovider_provider()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for field in credential_fields(SPEC):
        for name in field.variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))


def build(**fields):
    return build_credentials(SPEC, {"token": KEY, **fields})


def test_the_plugin_announces_ibm_and_every_hook_is_one_of_the_cores():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(qprovider_ibm)
    manager.check_pending()
    spec = manager.hook.qprovider_provider()
    assert (spec.name, spec.title, spec.default_shots) == ("ibm", "IBM Quantum", 4096)
    assert (spec.max_tags, spec.max_tag_length) == (7, 86)  # the service's eight, less the one that the core sends
    assert spec.credentials is IBMCredentials
    assert "https://quantum.cloud.ibm.com" in spec.credentials_help
    implemented = {caller.name for caller in manager.get_hookcallers(qprovider_ibm)}
    assert {"qprovider_open_account", "qprovider_foreign_accounts", "qprovider_list_backends"} <= implemented


def test_announcing_imports_neither_the_http_client_nor_qiskit():
    code = (
        "import sys, qprovider_ibm; qprovider_ibm.qprovider_provider();"
        "print(sorted({'requests', 'urllib3', 'qiskit', 'numpy', 'cattrs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_key_is_enough():
    made = build()
    assert made == IBMCredentials(token=Secret(KEY))
    assert made.url == "https://cloud.ibm.com"
    assert made.channel == "ibm_quantum_platform"
    assert made.verify is True
    assert KEY not in repr(made)
    with pytest.raises(NoAccountError, match="IBM Cloud API key"):
        build_credentials(SPEC, {"instance": CRN})


def test_every_field_has_a_help_text():
    assert [field.name for field in credential_fields(SPEC) if not field.help] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"instance": CRN},
        {"instance": "open-main"},
        {"instance": "auto"},
        {"channel": "ibm_cloud"},
        {"region": "eu-de", "plans_preference": ["open", "premium"], "tags": ["team"]},
        {"url": "https://cloud.ibm.com:8443"},
        {"url": "http://127.0.0.1:8080", "iam_url": "http://localhost:1", "api_url": "http://[::1]:2/api/v1"},
        {"private_endpoint": True, "verify": "/etc/ssl/ours.pem"},
        {"verify": False},
        {"proxies": {"https": "http://proxy:8080"}, "proxy_username": "u", "proxy_password": "pass-word"},
        {"proxies": {"https": "socks5h://proxy:1080"}, "proxy_username": "u", "proxy_ntlm": True},
        {"endpoints": {"iam": "https://iam.example", "api": "https://api.example/api/v1"}},
        {"search_url": "https://s.example", "catalog_url": "https://c.example/api/v1"},
        {"resource_controller_url": "https://r.example"},
    ],
)
def test_what_the_service_takes_is_taken(fields, tmp_path):
    made = build(**fields)
    AccountStore().save(SPEC, "work", {"token": KEY, **fields})
    assert resolve_account(SPEC).credentials == made


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"token": "two words"}, "copy it again"),
        ({"token": "line\nbreak-in-it"}, "copy it again"),
        ({"token": "schlüssel-von-mir"}, "copy it again"),
        ({"token": "0123456789abcdef" * 8}, "a token of the retired IBM Quantum service"),
        ({"instance": " "}, "instance: it is empty"),
        ({"instance": "crn:v1:bluemix"}, "not a whole CRN"),
        ({"instance": CRN.replace("us-east", "")}, "not a whole CRN"),
        ({"instance": "ibm-q/open/main"}, "hub/group/project"),
        ({"channel": "ibm_quantum"}, "shut down"),
        ({"channel": "local"}, "provider 'local'"),
        ({"channel": "ibm_clod"}, "'ibm_cloud'"),
        ({"url": "https://auth.quantum-computing.ibm.com/api"}, "retired"),
        ({"url": "https://auth.quantum.ibm.com/api"}, "retired"),
        ({"api_url": "https://quantum-computing.ibm.com"}, "api_url: .*retired"),
        ({"url": "http://cloud.ibm.com"}, "unencrypted"),
        ({"url": "cloud.ibm.com"}, "https://"),
        ({"url": "https://"}, "https://"),
        ({"url": "https://cloud.ibm.com:x"}, "not an address"),
        ({"iam_url": " https://iam.example"}, "iam_url"),
        ({"region": "us east"}, "us-east"),
        ({"proxies": {"https": "proxy:8080"}}, r"proxies\['https'\]"),
        ({"tags": "team"}, "a list"),
        ({"endpoints": {"iamm": "https://iam.example"}}, "did you mean 'iam'"),
        ({"endpoints": {"iam": 5}}, "endpoints"),
        ({"endpoints": "https://iam.example"}, "names with values"),
        ({"verify": 1}, "true or false"),
        ({"private_endpoint": "yes"}, "true or false"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(fields, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        build(**fields)
    if "token" in fields:
        assert fields["token"] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "fields",
    [
        {"proxies": {"https": "http://ann:very-private@proxy:8080"}},
        {"proxies": {"https": "ftp://ann:very-private@proxy:8080"}},
        {"proxies": {"https": "http://ann:very-private@proxy:port"}},
        {"url": "https://ann:very-private@cloud.ibm.com"},
    ],
)
def test_a_password_inside_an_address_is_refused_without_showing_it(fields):
    with pytest.raises(ConfigurationError, match="address") as caught:
        build(**fields)
    assert "very-private" not in "".join(traceback.format_exception(caught.value))


def test_a_misspelt_field_is_named():
    with pytest.raises(UnknownOptionError, match="Did you mean 'instance'"):
        build(instnce=CRN)


def test_the_variables_of_ibms_own_client_are_read_after_ours(monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "key-for-the-other-client")
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", CRN)
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", "ibm_cloud")
    monkeypatch.setenv("QISKIT_IBM_URL", "https://cloud.ibm.com")
    monkeypatch.setenv("IAM_URL", "https://iam.example")
    found = resolve_account(SPEC)
    assert found.credentials == build(
        token="key-for-the-other-client", instance=CRN, channel="ibm_cloud", iam_url="https://iam.example"
    )
    assert "QISKIT_IBM_TOKEN" in found.source
    monkeypatch.setenv("QPROVIDER_IBM_TOKEN", KEY)
    monkeypatch.setenv("QPROVIDER_IBM_INSTANCE", "open-main")
    assert resolve_account(SPEC).credentials.token == Secret(KEY)
    assert resolve_account(SPEC).credentials.instance == "open-main"


def test_a_stale_variable_of_the_retired_client_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", KEY)
    monkeypatch.setenv("QISKIT_IBM_URL", "https://auth.quantum-computing.ibm.com/api")
    with pytest.raises(ConfigurationError, match="retired") as caught:
        resolve_account(SPEC)
    assert "QISKIT_IBM_URL" in str(caught.value)


def test_texts_of_the_environment_become_what_the_field_is(monkeypatch):
    for name, text in {
        "TOKEN": KEY,
        "TAGS": "a, b",
        "VERIFY": "no",
        "PRIVATE_ENDPOINT": "true",
        "PROXIES": '{"https": "http://proxy:8080"}',
    }.items():
        monkeypatch.setenv(f"QPROVIDER_IBM_{name}", text)
    assert resolve_account(SPEC).credentials == build(
        tags=["a", "b"], verify=False, private_endpoint=True, proxies={"https": "http://proxy:8080"}
    )


def test_the_two_words_for_the_channel_make_no_two_accounts():
    assert build(channel="ibm_cloud") == build(channel="ibm_quantum_platform")
    assert build(instance=CRN) != build()
