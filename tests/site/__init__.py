"""The site worker against a small real hub over real HTTP."""
