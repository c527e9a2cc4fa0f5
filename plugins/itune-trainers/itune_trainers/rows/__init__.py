"""From records to token rows."""
