"""Commands about the hub's people."""
