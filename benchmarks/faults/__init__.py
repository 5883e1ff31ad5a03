"""The same faults for every client of the same simulated exchange: who recovers, how soon, and what it says."""
