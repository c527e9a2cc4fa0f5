"""Dialogues of several turns, and questions without answers."""
