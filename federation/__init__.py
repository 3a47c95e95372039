"""How a round is run: rounds, contributions, aggregation, transport (Django app and pure parts)."""
