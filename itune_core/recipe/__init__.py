"""YAML to typed recipe to plan: every mistake is found at once, before any work is done."""
