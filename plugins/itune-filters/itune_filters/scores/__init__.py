"""Deciding by numbers: score columns read, ranked, and spelt for people."""
