"""The ε report: one JSON document is the truth, HTML, CSV and PDF are renderings of it."""
