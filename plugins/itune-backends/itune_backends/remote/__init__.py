"""Asking a model over HTTP: what a backend of servers is made of."""
