"""No way of showing a secret shows it."""

import copy
import io
import json
import logging
import pickle
import traceback

import attrs
import pytest

from qprovider_core.errors import ConfigurationError
from qprovider_core.records import TokenCredentials
from qprovider_core.secret import MASK, ScrubbingFilter, Secret, get_logger, scrub
from qprovider_core.serialization import to_json

TEXT = "sk-do-not-show-me-4711"


@pytest.fixture
def secret():
    return Secret(TEXT)


def test_every_printed_form_is_masked(secret):
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>30}",
        "%s" % secret,  # noqa: UP031
        f"{secret:^20}",
    ]
    shown.append(repr([secret, {"token": secret}]))
    assert all(MASK in text and TEXT not in text for text in shown)


def test_only_reveal_gives_the_text(secret):
    assert secret.reveal() == TEXT
    with pytest.raises(TypeError, match="reveal"):
        list(secret)
    assert not hasattr(secret, "__dict__")


def test_a_pickle_holds_no_secret_and_what_comes_out_says_so(secret):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert TEXT.encode() not in pickle.dumps(secret, protocol)
    back = pickle.loads(pickle.dumps(secret))
    assert repr(back) == MASK
    assert not back
    assert back != secret
    assert back != back
    with pytest.raises(ValueError, match="pickle"):
        back.reveal()


def test_copies_are_the_secret_itself(secret):
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"token": secret})["token"] is secret


def test_json_forms_are_masked(secret):
    assert to_json({"token": secret}) == {"token": MASK}
    assert TokenCredentials(token=secret).to_dict() == {"token": MASK}
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert json.dumps(secret, default=str) == f'"{MASK}"'


def test_a_record_that_holds_one_is_masked(secret):
    credentials = TokenCredentials(token=secret)
    assert TEXT not in repr(credentials)
    assert TEXT not in repr(attrs.asdict(credentials))


def test_equality_and_hash_follow_the_text(secret):
    assert secret == Secret(TEXT)
    assert hash(secret) == hash(Secret(TEXT))
    assert secret != Secret("another text")
    assert secret != TEXT
    assert bool(secret)
    assert not Secret("")


def test_a_secret_is_made_of_text_only():
    with pytest.raises(TypeError, match="not int") as caught:
        Secret(12345678901)
    assert "12345678901" not in str(caught.value)


def test_scrub_masks_secrets_the_longest_first(secret):
    Secret(TEXT + "-and-more")
    assert scrub(f"a {TEXT}-and-more b {TEXT}") == f"a {MASK} b {MASK}"
    assert scrub("nothing to hide") == "nothing to hide"


def test_errors_and_their_tracebacks_are_masked(secret):
    error = ConfigurationError(f"what {TEXT}", why=f"why {TEXT}", hint=f"hint {TEXT}")
    assert TEXT not in str(error) + repr(error) + repr(error.__dict__)
    shown = traceback.format_exception(error)
    assert TEXT not in "".join(shown)


def test_log_records_are_masked_however_the_secret_gets_in(secret):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = get_logger("qprovider.test_secret")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning("plain %s", TEXT)
        logger.warning("object %s %s", secret, {"token": TEXT})
        try:
            raise RuntimeError(TEXT)
        except RuntimeError:
            logger.exception("with %s", "traceback")
    finally:
        logger.removeHandler(handler)
    written = stream.getvalue()
    assert TEXT not in written
    assert written.count(MASK) >= 3
    assert "RuntimeError" in written


def test_a_logger_gets_the_scrubber_once():
    logger = get_logger("qprovider.test_secret.twice")
    get_logger("qprovider.test_secret.twice")
    assert sum(isinstance(f, ScrubbingFilter) for f in logger.filters) == 1
