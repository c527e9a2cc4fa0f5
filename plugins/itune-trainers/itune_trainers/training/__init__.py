"""The steps of a training, once all is decided."""
