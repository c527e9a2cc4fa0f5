"""Language-model backends for itune."""
