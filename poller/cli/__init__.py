"""The command line: one command a file."""

from poller.cli.app import main

__all__ = ["main"]
