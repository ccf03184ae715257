"""This project beside what a user would pick instead: ``python -m benchmarks``, or ``make bench``.

`docs/benchmarks.md` says how the figures are made and how to read them. `stress_jobs.py` is a program of its own.
"""
