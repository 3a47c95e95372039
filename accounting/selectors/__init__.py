"""Everything that reads what has been spent."""
