"""The commands of the accounting app."""
