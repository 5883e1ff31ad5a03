"""Writes the dashboards, so that nobody edits a panel by hand: `make dashboards`."""
