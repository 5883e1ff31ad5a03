"""A made-up history of four days and four accounts: the same rows whenever and wherever it is made."""
