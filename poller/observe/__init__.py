"""What people and machines see of a running daemon."""
