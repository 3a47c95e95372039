"""What has been spent: budgets, the ledger, the accountants and the reports."""
