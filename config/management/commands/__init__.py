"""Commands that start, seed and run an installation."""
