"""The pages of what was spent: check access, ask a selector or service, render."""
