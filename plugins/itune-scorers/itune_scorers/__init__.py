"""Scorers for itune: columns of numbers that filters, mixers and people decide on."""
