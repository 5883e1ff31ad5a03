"""A faithful simulated exchange on a real socket, written from the exchange's documents alone."""
