"""The pages of studies and institutions: check access, ask a selector or service, render."""
