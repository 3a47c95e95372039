"""Everything that writes what has been spent."""
