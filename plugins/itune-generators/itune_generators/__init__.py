"""Generators for itune: new records with the help of a language model."""
