"""Locks: the plugin set of a project, written down, verified before any import, and installed again."""
