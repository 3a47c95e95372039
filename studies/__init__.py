"""Who agreed to what: institutions, people, roles, studies, approvals, events, live pages."""
