"""What reads: a study's rounds, its models and what they are worth."""
