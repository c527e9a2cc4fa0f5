"""What answers and instructions say that give away what they are, in four languages."""
