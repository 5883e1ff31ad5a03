"""`make schema-docs`: the data dictionary, docs/schema.md, from the comments of a database at the newest revision."""
