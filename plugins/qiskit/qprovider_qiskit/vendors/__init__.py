"""The known vendors' Qiskit packages: what has to be said of each, a module each.

Nothing of a vendor is imported here, nor when backends of others are listed: `backends` of its module is called when an
account of it is opened.
"""
