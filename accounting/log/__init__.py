"""The tree over the ledger and its signed checkpoints: pure, for the hub, the sites and tests."""
