"""TRL's trainers, run by name."""
