"""What of a record is measured, and the words that it is made of."""
