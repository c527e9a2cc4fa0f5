"""What a training relies on, tried out on the user's own model."""
