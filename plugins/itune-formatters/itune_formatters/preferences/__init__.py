"""Comparisons, ratings and verdicts of people and of models."""
