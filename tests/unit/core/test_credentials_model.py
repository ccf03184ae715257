"""The store against a dictionary: whatever is saved comes back, whatever the order of calls."""

import shutil
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from qprovider_core import secret
from qprovider_core.credentials import AccountStore
from qprovider_core.errors import InvalidInputError, UnknownAccountError
from qprovider_core.records import ProviderSpec
from qprovider_core.secret import Secret

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/:@"),
    min_size=1,
    max_size=8,
)
NAMES = (
    st.lists(_WORDS, min_size=1, max_size=3).map(" ".join).filter(lambda name: name not in ("environment", "arguments"))
)
SECRETS = st.text(min_size=1).filter(str.strip)


@attrs.frozen(kw_only=True)
class Anything:
    token: Secret
    text: str | None = None
    value: object = None
    password: Secret | None = None


@pytest.fixture(autouse=True, scope="module")
def _forget_the_secrets():
    """Else thousands of random texts would be masked in the messages of all later tests."""
    before = set(secret._known)
    yield
    secret._known.clear()
    secret._known.update(before)


SPECS = {name: ProviderSpec(name=name, title=name, credentials=Anything) for name in ("acme", "zeta")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=NAMES, token=SECRETS, password=st.none() | SECRETS, text=st.none() | st.text(), value=JSON)
def test_any_text_and_any_json_value_comes_back(name, token, password, text, value):
    with tempfile.TemporaryDirectory() as directory:
        store = AccountStore(Path(directory, "accounts.json"))
        fields = {"token": token, "password": password, "text": text, "value": value}
        store.save(SPECS["acme"], name, fields)
        expected = {key: item for key, item in fields.items() if item is not None}
        for key in ("token", "password"):
            if key in expected:
                expected[key] = Secret(expected[key])
        assert AccountStore(store.path).get("acme", name).fields == expected


class StoreModel(RuleBasedStateMachine):
    """`model` is provider to (accounts, default); the rules are the contract in a few lines."""

    names = Bundle("names")

    @initialize()
    def begin(self):
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "accounts.json"
        self.accounts = {provider: {} for provider in SPECS}
        self.default = dict.fromkeys(SPECS)

    def teardown(self):
        shutil.rmtree(self.directory)

    @rule(target=names, name=NAMES)
    def think_of_a_name(self, name):
        return name

    @rule(
        provider=st.sampled_from(sorted(SPECS)),
        name=names,
        token=SECRETS,
        overwrite=st.booleans(),
        choice=st.sampled_from([None, None, True, False]),
    )
    def save(self, provider, name, token, overwrite, choice):
        accounts = self.accounts[provider]
        try:
            AccountStore(self.path).save(
                SPECS[provider], name, {"token": token}, overwrite=overwrite, set_as_default=choice
            )
        except InvalidInputError:
            assert name in accounts
            assert not overwrite
            return
        assert overwrite or name not in accounts
        if choice or not accounts:  # an only account is the default, even where False was said
            self.default[provider] = name
        accounts[name] = token

    @rule(provider=st.sampled_from(sorted(SPECS)), name=names)
    def delete(self, provider, name):
        accounts = self.accounts[provider]
        assert AccountStore(self.path).delete(provider, name) is (name in accounts)
        accounts.pop(name, None)
        if self.default[provider] not in accounts:
            self.default[provider] = next(iter(accounts)) if len(accounts) == 1 else None
        elif len(accounts) == 1:
            self.default[provider] = next(iter(accounts))

    @rule(provider=st.sampled_from(sorted(SPECS)), name=names)
    def set_default(self, provider, name):
        try:
            AccountStore(self.path).set_default(provider, name)
        except UnknownAccountError:
            assert name not in self.accounts[provider]
        else:
            self.default[provider] = name

    @invariant()
    def the_store_says_what_the_model_says(self):
        if not hasattr(self, "path"):
            return
        saved = AccountStore(self.path).accounts()
        assert [(a.provider, a.name, a.fields["token"].reveal(), a.is_default) for a in saved] == [
            (provider, name, self.accounts[provider][name], self.default[provider] == name)
            for provider in sorted(self.accounts)
            for name in sorted(self.accounts[provider])
        ]


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
