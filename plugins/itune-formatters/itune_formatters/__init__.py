"""Formatters for itune: raw instruction, conversation and preference rows to records."""
