"""Where an emulated service is, and the environment that points clients there."""

from __future__ import annotations


def endpoints(base: str) -> dict[str, str]:
    """Base addresses of the services."""
    return {
        "iam": base,
        "search": base,
        "catalog": f"{base}/globalcatalog/api/v1",
        "resource_controller": base,
        "api": f"{base}/api/v1",
    }


def environment(base: str, api_key: str) -> dict[str, str]:
    """Variables that point the plugin there."""
    places = endpoints(base)
    return {
        "QPROVIDER_IBM_TOKEN": api_key,
        "QPROVIDER_IBM_IAM_URL": places["iam"],
        "QPROVIDER_IBM_SEARCH_URL": places["search"],
        "QPROVIDER_IBM_CATALOG_URL": places["catalog"],
        "QPROVIDER_IBM_RESOURCE_CONTROLLER_URL": places["resource_controller"],
        "QPROVIDER_IBM_API_URL": places["api"],
    }


def runtime_environment(base: str) -> dict[str, str]:
    """Variables that point qiskit-ibm-runtime's login and search there."""
    places = endpoints(base)
    return {"IAM_URL": places["iam"], "GLOBAL_SEARCH_URL": places["search"], "GLOBAL_CATALOG_URL": places["catalog"]}


def runtime_url(base: str) -> str:
    """The `url` for qiskit-ibm-runtime's service: it leaves one alone that says "experimental"."""
    return endpoints(base)["api"].replace("://", "://experimental@")
