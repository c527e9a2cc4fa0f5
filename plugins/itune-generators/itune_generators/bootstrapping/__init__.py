"""What Self-Instruct is made of."""
