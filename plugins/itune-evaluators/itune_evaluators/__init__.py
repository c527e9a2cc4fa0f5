"""Evaluators for itune: what a model learned, in figures."""
