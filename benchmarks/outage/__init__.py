"""The same outage of one PostgreSQL for every writer: what is kept, lost and doubled, and what is told."""
