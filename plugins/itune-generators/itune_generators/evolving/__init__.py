"""What Evol-Instruct is made of."""
