"""The site worker: one process inside an institution that trains on its data and guards it."""

SOFTWARE = "cloister-site 0.1.0"
