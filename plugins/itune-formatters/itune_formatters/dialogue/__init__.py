"""Turns and trees of turns, as published, for the formatters of conversations and of preferences."""
