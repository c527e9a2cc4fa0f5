"""Plan to run: store, journal, asking loop, runner. Knows nothing of reports or the command line."""
