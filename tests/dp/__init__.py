"""What the pure mathematics of privacy loss promises."""
