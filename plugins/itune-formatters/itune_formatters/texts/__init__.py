"""Plain text, for the replay of pre-training data."""
