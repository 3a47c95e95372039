"""The report as a PDF that a hospital's board can read."""
