"""Mixers for itune: how much of which data set."""
