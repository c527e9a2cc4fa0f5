"""The shared builder: the parts of an instruction example, and how they become a conversation."""
