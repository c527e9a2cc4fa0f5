"""Filters for itune: which records to keep, and why the others go."""
