"""What writes: rounds, deliveries, contributions, blobs and the hub's key."""
