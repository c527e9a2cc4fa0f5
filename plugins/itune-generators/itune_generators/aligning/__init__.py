"""What Self-Align keeps of an answer that came with a thought."""
