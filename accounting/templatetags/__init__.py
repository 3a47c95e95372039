"""Template tags of the pages about budgets."""
