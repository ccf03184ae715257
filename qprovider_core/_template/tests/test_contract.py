"""The plugin keeps qprovider's contract, and what it declares of itself."""

from qprovider_acme.contract import AcmeContract


class TestAcme(AcmeContract):
    """Some hundred checks, each of which says what it promises when it fails."""
