"""What people type about budgets."""
