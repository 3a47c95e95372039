"""The site API: what site workers, and nobody else, ask over HTTP."""
