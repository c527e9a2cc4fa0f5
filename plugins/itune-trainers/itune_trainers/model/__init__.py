"""The model that is trained: opened, given an adapter, saved, merged."""
