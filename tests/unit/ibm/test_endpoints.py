"""Where the services are, and what a CRN says."""

import traceback

import pytest

import qprovider_ibm
from qprovider_core.credentials import build_credentials, credential_fields, resolve_account
from qprovider_core.errors import ConfigurationError, InvalidInputError
from qprovider_core.secret import Secret
from qprovider_ibm import IBMCredentials
from qprovider_ibm._endpoints import SERVICES, VARIABLES, Crn, endpoints_for, parse_crn

KEY = "Ab3-0123456789_abcdefghijklmnopqrstuvwxyzABC"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"
EUROPE = CRN.replace("us-east", "eu-de")
STAGING = CRN.replace("bluemix", "staging")
SPEC = qprovider_ibm.qprovider_provider()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for field in credential_fields(SPEC):
        for name in field.variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))


def endpoints(environ=None, **fields):
    return endpoints_for(IBMCredentials(token=Secret(KEY), **fields), environ or {})


def addresses(found, crn=CRN):
    return {name: found.api(crn) if name == "api" else getattr(found, name) for name in SERVICES}


# ---------------------------------------------------------------------------------------------------- derived


def test_the_usual_addresses_are_ibm_clouds():
    found = endpoints()
    assert addresses(found) == {
        "iam": "https://iam.cloud.ibm.com",
        "search": "https://api.global-search-tagging.cloud.ibm.com",
        "catalog": "https://globalcatalog.cloud.ibm.com/api/v1",
        "resource_controller": "https://resource-controller.cloud.ibm.com",
        "api": "https://quantum.cloud.ibm.com/api/v1",
    }
    assert found.sources == dict.fromkeys(SERVICES, "derived")
    assert found.api(EUROPE) == "https://eu-de.quantum.cloud.ibm.com/api/v1"
    assert KEY not in repr(found)


def test_inside_a_private_network_the_login_and_the_api_have_other_names():
    found = endpoints(private_endpoint=True)
    assert found.iam == "https://private.iam.cloud.ibm.com"
    assert found.api(CRN) == "https://private.us-east.quantum.cloud.ibm.com/api/v1"
    assert found.api(EUROPE) == "https://private.eu-de.quantum.cloud.ibm.com/api/v1"
    assert found.search == "https://api.global-search-tagging.cloud.ibm.com"


def test_an_instance_of_the_test_cloud_logs_in_there():
    assert endpoints(instance=STAGING).iam == "https://iam.test.cloud.ibm.com"
    assert endpoints(instance=STAGING, private_endpoint=True).iam == "https://private.iam.test.cloud.ibm.com"
    assert endpoints(instance=CRN).iam == endpoints(instance="open-main").iam == "https://iam.cloud.ibm.com"
    assert endpoints(instance=STAGING, url="http://127.0.0.1:80").iam == "http://127.0.0.1:80"


@pytest.mark.parametrize("slash", ["", "/"])
def test_another_cloud_keeps_its_port(slash):
    found = endpoints(url=f"https://test.example:8443{slash}")
    assert addresses(found, EUROPE) == {
        "iam": "https://iam.test.example:8443",
        "search": "https://api.global-search-tagging.test.example:8443",
        "catalog": "https://globalcatalog.test.example:8443/api/v1",
        "resource_controller": "https://resource-controller.test.example:8443",
        "api": "https://eu-de.quantum.test.example:8443/api/v1",
    }


@pytest.mark.parametrize(
    "root", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "https://192.168.0.7"]
)
@pytest.mark.parametrize("path", ["", "/", "/api/v1"])
def test_a_host_without_subdomains_stands_for_all_services(root, path):
    for crn in (CRN, EUROPE):
        assert addresses(endpoints(url=root + path, private_endpoint=True), crn) == {
            "iam": root,
            "search": root,
            "catalog": f"{root}/globalcatalog/api/v1",
            "resource_controller": root,
            "api": f"{root}/api/v1",
        }


def test_an_experimental_address_is_the_apis_own():
    found = endpoints(url="https://quantum-experimental.cloud.ibm.com/v9/")
    assert found.api(EUROPE) == "https://quantum-experimental.cloud.ibm.com/v9"
    assert found.iam == "https://iam.cloud.ibm.com"
    assert found.catalog == "https://globalcatalog.cloud.ibm.com/api/v1"


# ------------------------------------------------------------------------------------------------------ given


def test_each_address_can_be_given_apart_and_says_where_it_comes_from():
    found = endpoints(
        {"GLOBAL_SEARCH_URL": "https://search.sdk", "GLOBAL_CATALOG_URL": "https://catalog.sdk/api/v1/"},
        iam_url="https://iam.example:1/",
        endpoints={"api": "https://api.example:2/api/v1/", "iam": "https://loses.example"},
    )
    assert addresses(found, EUROPE) == {
        "iam": "https://iam.example:1",
        "search": "https://search.sdk",
        "catalog": "https://catalog.sdk/api/v1",
        "resource_controller": "https://resource-controller.cloud.ibm.com",
        "api": "https://api.example:2/api/v1",
    }
    assert found.sources == {
        "iam": "argument",
        "search": "environment (GLOBAL_SEARCH_URL)",
        "catalog": "environment (GLOBAL_CATALOG_URL)",
        "resource_controller": "derived",
        "api": "argument",
    }


@pytest.mark.parametrize(
    ("service", "variable"), [(service, name) for service in SERVICES for name in VARIABLES[service]]
)
def test_the_environment_gives_addresses_whoever_gave_the_token(service, variable, monkeypatch):
    address = f"http://127.0.0.1:9/{service}/api/v1"
    monkeypatch.setenv(variable, address)
    by_argument = resolve_account(SPEC, fields={"token": KEY}).credentials
    monkeypatch.setenv("QISKIT_IBM_TOKEN", KEY)
    by_environment = resolve_account(SPEC).credentials
    for credentials in (by_argument, by_environment):
        found = endpoints_for(credentials)
        assert addresses(found)[service] == address
        assert found.sources[service] == f"environment ({variable})"
        assert [one for one in SERVICES if found.sources[one] != "derived"] == [service]


def test_our_own_variable_wins_over_that_of_ibms_sdk_and_an_argument_over_both(monkeypatch):
    environ = {
        "QPROVIDER_IBM_IAM_URL": "https://ours.example",
        "IAM_URL": "https://sdk.example",
        "GLOBAL_SEARCH_URL": "",
    }
    assert endpoints(environ).iam == "https://ours.example"
    assert endpoints(environ, iam_url="https://given.example").iam == "https://given.example"
    assert endpoints(environ, endpoints={"iam": "https://given.example"}).iam == "https://given.example"
    assert endpoints(environ).sources["search"] == "derived"
    # An account of the environment has the variable's text in its field: `endpoints` as an argument still wins.
    for name, text in {**environ, "QISKIT_IBM_TOKEN": KEY}.items():
        monkeypatch.setenv(name, text)
    account = resolve_account(SPEC, fields={"endpoints": {"iam": "https://given.example"}}).credentials
    assert endpoints_for(account).iam == "https://given.example"
    # Where both are of the environment, the single one does.
    monkeypatch.setenv("QPROVIDER_IBM_ENDPOINTS", '{"iam": "https://all.example"}')
    assert endpoints_for(resolve_account(SPEC).credentials).iam == "https://ours.example"


# ---------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://auth.quantum-computing.ibm.com/api", "retired"),
        ("https://quantumexperience.ng.bluemix.net/api", "retired"),
        ("http://iam.example", "unencrypted"),
        ("http://127.evil.example", "unencrypted"),
        ("http://localhost.example", "unencrypted"),
        ("iam.example", "https://"),
        ("ftp://iam.example", "https://"),
        ("https://iam.example ", "https://"),
        ("https://iam.exa\nmple", "https://"),
        ("https://iam.example:port", "not an address"),
        ("https://iam.example?x=1", r"neither \? nor #"),
        ("https://iam.example#x", r"neither \? nor #"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_wherever_it_stands(address, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        endpoints({"IAM_URL": address})
    assert "Unset IAM_URL" in caught.value.hint
    for fields in ({"iam_url": address}, {"endpoints": {"iam": address}}):
        with pytest.raises(ConfigurationError, match=reason):
            build_credentials(SPEC, {"token": KEY, **fields})


def test_a_password_inside_an_address_of_the_environment_is_not_shown():
    environ = {"IAM_URL": "https://ann:very-private@iam.example"}
    with pytest.raises(ConfigurationError, match="user name or password") as caught:
        endpoints(environ)
    assert "very-private" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address", ["https://api.example", "https://api.example/api/v2", "https://api.example/api/v1/x"]
)
def test_the_address_of_the_api_ends_in_its_version(address):
    with pytest.raises(ConfigurationError, match="ends in /api/v1") as caught:
        endpoints({"QPROVIDER_IBM_API_URL": address})
    assert "QPROVIDER_IBM_API_URL" in str(caught.value)
    for fields in ({"api_url": address}, {"endpoints": {"api": address}}):
        with pytest.raises(ConfigurationError, match="ends in /api/v1"):
            build_credentials(SPEC, {"token": KEY, **fields})


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("QISKIT_IBM_URL", "QISKIT_IBM_URL"),
        ("QPROVIDER_IBM_URL", "QPROVIDER_IBM_URL"),
        ("IAM_URL", "IAM_URL"),
        ("QPROVIDER_IBM_API_URL", "QPROVIDER_IBM_API_URL"),
    ],
)
def test_a_stale_address_of_the_retired_service_says_what_to_unset(variable, named, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", KEY)
    monkeypatch.setenv(variable, "https://auth.quantum-computing.ibm.com/api")
    with pytest.raises(ConfigurationError, match="retired") as caught:
        resolve_account(SPEC)
    assert f"unset {named}" in caught.value.why or f" and {named} in the environment" in caught.value.why


def test_the_address_of_the_api_is_not_that_of_the_cloud():
    for url in (
        "https://quantum.cloud.ibm.com",
        "https://eu-de.quantum.cloud.ibm.com/api/v1",
        "https://private.us-east.quantum.cloud.ibm.com",
    ):
        with pytest.raises(ConfigurationError, match="give the API's as api_url"):
            build_credentials(SPEC, {"token": KEY, "url": url})
    assert build_credentials(SPEC, {"token": KEY, "api_url": "https://quantum.cloud.ibm.com/api/v1"})


def test_an_unknown_service_is_refused_with_the_near_one():
    with pytest.raises(ConfigurationError, match="did you mean 'catalog'") as caught:
        build_credentials(SPEC, {"token": KEY, "endpoints": {"catlog": "https://c.example"}})
    assert "resource_controller" in caught.value.why


# ------------------------------------------------------------------------------------------------------- CRNs


def test_a_crn_says_cloud_region_account_and_instance():
    assert parse_crn(CRN) == Crn(cloud="bluemix", region="us-east", account="0123456789abcdef", instance_id="1111-2222")
    assert parse_crn(STAGING.replace("us-east", "eu-de")).cloud == "staging"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open-main", "does not begin with 'crn:'"),
        ("", "does not begin with 'crn:'"),
        ("crn:v1:bluemix", "not a whole CRN"),
        (CRN.replace("us-east", ""), "not a whole CRN"),
        (CRN.replace("a/0123456789abcdef", "a/"), "not a whole CRN"),
        (CRN.replace("a/0123456789abcdef", "0123"), "not a whole CRN"),
        (CRN.replace("1111-2222", ""), "not a whole CRN"),
        (f"{CRN}:::", "not a whole CRN"),
        (CRN.replace("quantum-computing", "cloudantnosqldb"), "of cloudantnosqldb, not of quantum-computing"),
        (f"{CRN} ", "copy it again"),
        (CRN.replace("us-east", "us-\neast"), "copy it again"),
        (CRN.replace("us-east", "evil.example/#"), "no region"),
        (CRN.replace("us-east", "evil.example"), "no region"),
        (CRN.replace("us-east", "-"), "no region"),
    ],
)
def test_what_is_no_crn_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidInputError, match=reason) as caught:
        parse_crn(text)
    assert "Copy the whole CRN" in caught.value.hint
    with pytest.raises(InvalidInputError, match=reason):
        endpoints().api(text)
    if text.startswith("crn:"):
        with pytest.raises(ConfigurationError, match=reason):
            build_credentials(SPEC, {"token": KEY, "instance": text})
