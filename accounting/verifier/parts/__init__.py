"""What the stand-alone verifier is made of; written for Python 3.9, imports nothing of Cloister."""
