"""What models wrote, taken apart."""
