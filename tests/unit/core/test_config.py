"""Settings: argument, then environment, then default."""

import subprocess
import sys
from pathlib import Path

import pytest

from qprovider_core import config
from qprovider_core.errors import ConfigurationError, InvalidInputError

VARIABLES = (
    "QPROVIDER_CONFIG_DIR",
    "QPROVIDER_DATA_DIR",
    "QPROVIDER_PLUGINS",
    "QPROVIDER_DISABLE_PLUGINS",
    "QPROVIDER_TIMEOUT",
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


@pytest.mark.parametrize(
    ("variable", "function"),
    [("QPROVIDER_CONFIG_DIR", config.config_dir), ("QPROVIDER_DATA_DIR", config.data_dir)],
)
def test_a_directory_comes_from_its_variable_else_from_the_system(variable, function, monkeypatch, tmp_path):
    default = function()
    assert default.is_relative_to(tmp_path)
    assert default.name == "qprovider"
    monkeypatch.setenv(variable, str(tmp_path / "mine"))
    assert function() == tmp_path / "mine"
    monkeypatch.setenv(variable, "")
    assert function() == default


def test_a_directory_may_be_relative_or_begin_with_the_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", "settings")
    assert config.config_dir() == Path(tmp_path, "settings")
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", "~/settings")
    assert config.config_dir() == Path(tmp_path, "settings")


def test_plugin_lists_bear_spaces_and_stray_commas(monkeypatch):
    assert config.plugin_allowlist() is None
    assert config.plugin_blocklist() == frozenset()
    monkeypatch.setenv("QPROVIDER_PLUGINS", " ibm, local ,,")
    monkeypatch.setenv("QPROVIDER_DISABLE_PLUGINS", "acme ")
    assert config.plugin_allowlist() == {"ibm", "local"}
    assert config.plugin_blocklist() == {"acme"}
    monkeypatch.setenv("QPROVIDER_PLUGINS", " , ")
    assert config.plugin_allowlist() is None


def test_the_timeout_is_the_argument_then_the_variable_then_30_seconds(monkeypatch):
    assert config.timeout_s() == 30.0
    monkeypatch.setenv("QPROVIDER_TIMEOUT", "2.5")
    assert config.timeout_s(None) == 2.5
    assert config.timeout_s(7) == 7.0


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1,5"])
def test_a_timeout_variable_that_is_no_positive_number_is_named(text, monkeypatch):
    monkeypatch.setenv("QPROVIDER_TIMEOUT", text)
    with pytest.raises(ConfigurationError, match="QPROVIDER_TIMEOUT") as caught:
        config.timeout_s()
    assert repr(text) in str(caught.value)
    assert config.timeout_s(1) == 1.0


@pytest.mark.parametrize("argument", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_timeout_argument_that_is_no_positive_number_is_refused(argument):
    with pytest.raises(InvalidInputError, match="positive, finite"):
        config.timeout_s(argument)


def test_settings_say_which_source_won(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("QPROVIDER_TIMEOUT", "5")
    sources = {setting.name: (setting.value, setting.source) for setting in config.settings()}
    assert sources["config_dir"] == (tmp_path, "environment (QPROVIDER_CONFIG_DIR)")
    assert sources["plugins"] == (None, "default")
    assert sources["timeout_s"] == (5.0, "environment (QPROVIDER_TIMEOUT)")
    assert config.settings(timeout=9)[-1] == config.Setting(name="timeout_s", value=9.0, source="argument")


def test_reading_settings_imports_nothing_slow():
    code = (
        "import sys; from qprovider_core import config; config.timeout_s();"
        "print(sorted({'platformdirs', 'cattrs', 'qiskit', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
