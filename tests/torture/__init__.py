"""Everything that can be done to the daemon and its database, from one seed; the docstring of each scenario says what.

A scenario is a module of this folder with a `NAME` and a function `torture`. `python -m tests.torture` runs them all in
full length, pytest runs their short versions.
"""
