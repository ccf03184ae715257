"""Tokens, instances, plans, and who may ask the Quantum API."""

from __future__ import annotations

import base64
import json
import time

import pytest
import requests

GRANT = "urn:ibm:params:oauth:grant-type:apikey"


def post_token(emulator, **form):
    return requests.post(f"{emulator.base}/identity/token", data=form, timeout=10)


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def search(api, base=None, **body):
    headers = {"Authorization": api.headers["Authorization"]}
    query = {"query": "service_name:quantum-computing", "fields": ["crn"], **body}
    limit = {"limit": 100}
    return requests.post(f"{api.base}/v3/resources/search", params=limit, json=query, headers=headers, timeout=10)


def test_a_key_gets_a_token_that_looks_like_a_jwt(ibm_emulator):
    answer = post_token(ibm_emulator, grant_type=GRANT, apikey=ibm_emulator.api_key, response_type="cloud_iam")
    assert answer.status_code == 200
    document = answer.json()
    assert document["token_type"] == "Bearer"
    assert document["refresh_token"] == "not_supported"
    assert document["scope"] == "ibm openid"
    assert document["expires_in"] == 3600
    assert abs(document["expiration"] - time.time() - 3600) < 10
    claims = claims_of(document["access_token"])
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["account"]["bss"] in ibm_emulator.instances["open-main"]
    assert claims["iam_id"].startswith("IBMid-")
    assert ibm_emulator.api_key not in base64.urlsafe_b64decode(document["access_token"].split(".")[1] + "==").decode()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": GRANT, "apikey": "wrong"}, "BXNIM0415E"),
        ({"grant_type": GRANT}, "BXNIM0109E"),
        ({"grant_type": "password", "apikey": "x"}, "BXNIM0124E"),
    ],
)
def test_a_wrong_login_is_refused_in_iams_form(ibm_emulator, form, code):
    answer = post_token(ibm_emulator, **form)
    assert answer.status_code == 400
    document = answer.json()
    assert document["errorCode"] == code
    assert document["errorMessage"]
    assert set(document["context"]) == {"requestId", "url", "locale"}


def test_both_keys_are_accepted_and_are_two_users(ibm_emulator, api_of):
    users = {claims_of(api_of(ibm_emulator, key=key).token())["id"] for key in ibm_emulator.api_keys}
    assert len(users) == len(ibm_emulator.api_keys) == 2


@pytest.mark.parametrize("header", [None, "Bearer invented", "apikey {key}", "Basic {key}"])
def test_only_issued_tokens_are_accepted(api, tools, header):
    header = header and header.format(key=api.key)
    answer = api.get("/backends", headers={"Authorization": header})
    assert tools.error_of(answer)[:2] == (401, 1201)


def test_a_missing_or_foreign_crn_is_refused(api, tools):
    assert tools.error_of(api.get("/backends", headers={"Service-CRN": None}))[:2] == (403, 1200)
    foreign = "crn:v1:bluemix:public:quantum-computing:us-east:a/ffff:1111-2222::"
    assert tools.error_of(api.get("/backends", headers={"Service-CRN": foreign}))[:2] == (403, 1200)


def test_versions_need_no_crn(api):
    answer = api.get("/versions", headers={"Service-CRN": None})
    assert {"version": "2026-04-15", "status": "live"} in answer.json()["versions"]


def test_an_unreadable_api_version_is_refused(api, tools):
    assert tools.error_of(api.get("/backends", headers={"IBM-API-Version": "latest"}))[0] == 400


def test_an_unknown_address_is_refused_in_the_services_form(api, tools):
    assert tools.error_of(api.get("/users/me"))[0] == 404
    assert tools.error_of(api.send("PUT", "/backends"))[0] == 405


def test_the_search_lists_instances_with_and_without_backends(api):
    document = search(api).json()
    items = {item["name"]: item for item in document["items"]}
    assert set(items) == {"open-main", "premium-eu", "no-backends"}
    assert "search_cursor" not in document
    assert items["open-main"]["crn"] == api.emulator.instances["open-main"]
    assert ":us-east:" in items["open-main"]["crn"]
    assert ":eu-de:" in items["premium-eu"]["crn"]
    assert items["open-main"]["doc"]["extensions"]
    assert not items["no-backends"]["doc"].get("extensions")
    assert "team" in items["open-main"]["tags"]


def test_the_catalog_tells_plans(api):
    plans = {item["name"]: item["service_plan_unique_id"] for item in search(api).json()["items"]}
    headers = {"Authorization": api.headers["Authorization"]}

    def plan(plan_id):
        return requests.get(f"{api.base}/globalcatalog/api/v1/{plan_id}", headers=headers, timeout=10)

    entry = plan(plans["open-main"]).json()
    assert entry["overview_ui"]["en"]["display_name"] == "Open"
    assert entry["metadata"]["pricing"]["type"] == "free"
    assert plan(plans["premium-eu"]).json()["metadata"]["pricing"]["type"] == "subscription"
    assert plan("unknown").status_code == 404


def test_the_resource_controller_finds_an_instance_by_name(api):
    headers = {"Authorization": api.headers["Authorization"]}
    url = f"{api.base}/v2/resource_instances"
    found = requests.get(url, params={"name": "open-main"}, headers=headers, timeout=10).json()
    assert found["rows_count"] == 1
    assert found["resources"][0]["crn"] == api.crn
    assert requests.get(url, params={"name": "nothing"}, headers=headers, timeout=10).json()["rows_count"] == 0


def test_search_catalog_and_resource_controller_want_a_token(api):
    for method, path in (
        ("POST", "/v3/resources/search"),
        ("GET", "/v2/resource_instances"),
        ("GET", "/globalcatalog/api/v1/x"),
    ):
        assert requests.request(method, api.base + path, json={}, timeout=10).status_code == 401


def test_options_add_twins_an_archived_plan_and_pages(start, api_of):
    emulator = start(duplicate_name=True, archived_plan=True, page_size=2, token_lifetime_s=1.0)
    assert {"team", "team@eu-de", "archived"} < set(emulator.instances)
    api = api_of(emulator)
    names, cursor, pages = [], None, 0
    while True:
        document = search(api, **({"search_cursor": cursor} if cursor else {})).json()
        names += [(item["name"], item["service_plan_unique_id"]) for item in document["items"]]
        pages += 1
        cursor = document.get("search_cursor")
        if cursor is None:
            break
    assert pages == 3
    assert [name for name, _ in names].count("team") == 2
    archived = dict(names)["archived"]
    headers = {"Authorization": api.headers["Authorization"]}
    url = f"{api.base}/globalcatalog/api/v1/{archived}"
    assert requests.get(url, headers=headers, timeout=10).status_code == 403
    end = time.monotonic() + 5
    while api.get("/backends").status_code == 200:
        assert time.monotonic() < end, "the token never expires"
        time.sleep(0.05)
    assert api.get("/backends").status_code == 401
