"""A made-up history of a year, and how fast it answers."""
