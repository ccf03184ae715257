"""``pytest --qprovider-contract NAME`` in processes of its own, in an empty directory, with installed plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left to `make check`

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ACME = """
import qprovider_core as qp

LISTS = {"backend_name": "one", "supports_running": False, "supports_cancel": False, "supports_list_jobs": False,
         "supports_delete": False, "supports_details": False, "supports_update_tags": False, "supports_status": False,
         "supports_find_submission": False, "supports_sessions": False, "supports_properties": False,
         "supports_defaults": False, "supports_account_info": False}

@qp.hookimpl
def qprovider_provider():
    return qp.ProviderSpec(name="acme", title="Acme Quantum", contract="acme_plugin:LISTS"{more})

@qp.hookimpl
def qprovider_open_account(credentials):
    if credentials is not None:
        raise qp.AuthenticationError("Acme does not know this token.", hint="Create another one.")
    return "a connection"

@qp.hookimpl
def qprovider_list_backends():
    return [qp.BackendInfo(name="one", num_qubits=2, simulator=True, operational=True)]

@qp.hookimpl
def qprovider_backend_configuration(backend):
    if backend.name != "one":
        raise qp.UnknownBackendError(backend.name, ["one"])
    return qp.BackendConfiguration(backend_name="one", n_qubits=2, basis_gates=("rz", "sx", "cz"), simulator=True)
"""


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str], None]:
    """Install Acme's plugin as pip would, with this added to its announcement."""

    def begin(more: str = "") -> None:
        site = tmp_path / "site"
        info = site / "acme-0.1.dist-info"
        info.mkdir(parents=True)
        (site / "acme_plugin.py").write_text(ACME.replace("{more}", more))
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text("[qprovider]\nacme = acme_plugin\n")

    return begin


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run pytest in an empty directory, where no account is known."""
    folder = tmp_path / "empty"
    folder.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    paths = [str(tmp_path / "site"), *(path for path in sys.path if path)]
    environment = kept | {
        "HOME": str(tmp_path / "home"),
        "QPROVIDER_CONFIG_DIR": str(tmp_path / "config"),
        "QPROVIDER_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": os.pathsep.join(paths),
    }

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(
            command, env=environment | variables, cwd=folder, capture_output=True, text=True, timeout=170
        )

    return call


def test_an_installed_plugin_is_checked_without_any_file(run: Run, install: Callable[..., None]) -> None:
    install()
    done = run("--qprovider-contract", "acme", "-W", "error", "-v", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "contract: Acme Quantum (acme), account by default, on one" in lines
    assert any(line.startswith("declared: supports_running = False, ") for line in lines)
    assert any(line.startswith("qprovider-contract::TestAcme::test_listed_names_are_unique PASSED") for line in lines)
    assert "declared: supports_running = False" in done.stdout
    assert " failed" not in lines[-1]
    assert not (Path(done.args[0]).parent / "data").exists()


def test_workers_share_the_checks_and_more_can_be_declared(run: Run, install: Callable[..., None]) -> None:
    install()
    done = run("-n", "2", "-q", "-k", "unique or declarations", "--qprovider-contract", "acme", "--qprovider-contract",
               "local", "--qprovider-declare", "max_backends=2")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    done = run("-q", "-k", "agree_with_the_hooks", "--qprovider-contract", "acme", "--qprovider-declare",
               "supports_cancel=true")  # fmt: skip
    assert done.returncode == 1
    assert "declare supports_cancel = False" in done.stdout


@pytest.mark.parametrize(
    ("more", "name", "said"),
    [
        ("", "acne", ["Unknown provider: 'acne'", "Did you mean 'acme'?", "Installed: "]),
        (", requires=('no-such-client-0>=2',)", "acme", ["no-such-client-0 is not installed", "pip install"]),
        (", no_such_field=1", "acme", ["left out", "no_such_field", "fault of the plugin"]),
        (", credentials=qp.TokenCredentials", "acme", ["need an account", "qprovider accounts add acme"]),
    ],
)
def test_a_plugin_that_cannot_be_checked_is_an_error_in_a_few_lines(
    run: Run, install: Callable[..., None], more: str, name: str, said: list[str]
) -> None:
    install(more)
    done = run("--qprovider-contract", name)
    told = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, told
    assert all(text in told for text in said), told
    assert "Traceback" not in told
    assert len(told.strip().splitlines()) < 6


def test_an_account_that_cannot_be_opened_fails_once(run: Run, install: Callable[..., None]) -> None:
    install(", credentials=qp.TokenCredentials")
    done = run("-q", "--qprovider-contract", "acme", QPROVIDER_ACME_TOKEN="a-token-that-nobody-knows")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert done.stdout.count("ERROR at setup") == 1
    assert "Acme does not know this token" in done.stdout
    assert "qprovider accounts add acme" in done.stdout
    assert "a-token-that-nobody-knows" not in done.stdout + done.stderr
    assert "the account of acme cannot be opened" in done.stdout


def test_other_suites_do_not_notice(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty" / "test_other.py").write_text(
        "import sys\n\n"
        "def test_what_is_loaded():\n"
        "    ours = {name for name in sys.modules if name.startswith('qprovider_')}\n"
        "    assert ours == {'qprovider_core', 'qprovider_core._pytest_plugin'}\n"
        "    assert not {'qiskit', 'numpy', 'pluggy.nothing'} & set(sys.modules)\n"
    )
    done = run("-W", "error", "--strict-config", "--strict-markers")
    assert done.returncode == 0, done.stdout
    assert "contract" not in done.stdout
    assert run("--qprovider-declare", "shots=3").returncode == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("local", "cheap or agree_with_the_hooks or cancelling_a_queued_job"),
        ("ibm", "cheap or agree_with_the_hooks or cancelling_a_queued_job or unknown_status or silent"),
    ],
)
def test_our_own_plugins_are_checked_like_any_other(run: Run, name: str, checks: str) -> None:
    done = run("-q", "--qprovider-contract", name, "-k", checks)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "skipped" not in done.stdout
