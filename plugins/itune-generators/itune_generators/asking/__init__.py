"""How models are asked: in words, in JSON, several things at once."""
