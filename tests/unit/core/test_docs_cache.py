"""The page about what is remembered: its examples run, what it names exists, and its numbers are those of the code."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import attrs

import qprovider_core as qp
from qprovider_core import _cache, _facts, _shelf, config
from qprovider_core.cli.backends import command

GUIDE = (Path(__file__).parents[3] / "docs" / "cache.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)


def test_the_examples_run_one_after_another_without_an_account(tmp_path):
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("QPROVIDER_", "QISKIT_IBM_"))}
    kept |= {
        "QPROVIDER_CONFIG_DIR": str(tmp_path / "config"),
        "QPROVIDER_DATA_DIR": str(tmp_path / "data"),
        "QPROVIDER_PLUGINS": "local",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("num_qubits > 20 {} ")


def test_what_the_page_names_exists():
    known = {value for name, value in vars(config).items() if name.isupper() and str(value).startswith("QPROVIDER_")}
    assert set(re.findall(r"\bQPROVIDER_CACHE\w*\b", GUIDE)) == {config.CACHE, config.CACHE_DIR} <= known
    assert set(re.findall(r"\bqp\.(\w+)", GUIDE)) <= set(qp.__all__)
    options = {name for one in command.params for name in one.opts}
    assert set(re.findall(r"(--[a-z]+)", GUIDE)) <= options
    shown = qp.list_backends(provider="local", name="nobody")
    attributes = ("errors", "notes", "ages_s", "steps", "rejected", "requests", "remembered", "as_of")
    assert all(hasattr(shown, name) and name in GUIDE for name in attributes)
    for function in (qp.list_backends, qp.backends, qp.get_backend):
        assert "refresh" in inspect.signature(function).parameters
    links = set(re.findall(r"\]\(#([\w-]+)\)", GUIDE))
    headings = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^## (.*)$", PROSE, re.M)}
    assert links == headings


def test_the_numbers_of_the_page_are_those_of_the_code():
    text = " ".join(PROSE.split())
    default = attrs.fields(qp.ProviderSpec).list_age_s.default
    assert f"{default:g} s, or what the vendor's plugin says" in text
    assert f"worth believing, in seconds ({default:g})" in text
    assert f"{_cache.CONFIGURATION_AGE_S / 3600:g} h; until a list" in text
    assert f"{_cache.PROPERTIES_AGE_S / 60:g} min where lists do not tell" in text
    assert f"not written for {_shelf._KEPT_S / 86_400:g} days" in text
    assert f"more than {_shelf._MOST_FILES} for an account" in text
    assert f"at most {_facts._CALLS_AT_A_TIME} facets are fetched" in text
