"""The pages: who may open what, what they ask, what they show."""
