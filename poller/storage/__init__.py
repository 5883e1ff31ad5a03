"""The database: tables, tiers, the gated transaction and the embedded server."""
