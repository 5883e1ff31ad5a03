"""`python -m poller`; the script `poller` points to the same place."""

from poller.cli import main

if __name__ == "__main__":
    main()
