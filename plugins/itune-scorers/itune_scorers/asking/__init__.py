"""Asking a model: what is said to it, and what is read from its probabilities."""
