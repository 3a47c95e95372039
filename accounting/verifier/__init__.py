"""The stand-alone verifier: readable parts, and the one file that auditors take away."""
