"""Learning with torch: private training, evaluation, architectures and aggregation strategies."""
