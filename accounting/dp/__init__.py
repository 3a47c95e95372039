"""The mathematics of privacy loss: no Django, no torch, no input or output."""
