"""Several answers to one prompt: how good each is, which are taken, and which are compared."""
