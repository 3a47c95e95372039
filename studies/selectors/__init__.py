"""Read functions for pages and the site API; nothing here changes a row."""
