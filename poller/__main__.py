"""`python -m poller`."""


def main() -> None:
    """Run the command line."""
