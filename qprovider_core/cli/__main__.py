"""`python -m qprovider_core.cli`: the command where its script is not on the path."""

from qprovider_core.cli import main

main()
