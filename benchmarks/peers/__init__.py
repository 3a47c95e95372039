"""The same work done by others, run in their own environment in the same session."""
