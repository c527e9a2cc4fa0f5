"""Trainers for itune: supervised tuning and preference objectives."""
