"""Planted defects: small, named changes of a good vendor, and the check of the contract that must catch each."""
