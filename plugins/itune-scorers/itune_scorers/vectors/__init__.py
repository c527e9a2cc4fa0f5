"""Records as points in a space of embeddings."""
