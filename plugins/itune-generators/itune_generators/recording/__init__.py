"""What created records say of where they come from, and a step of all of its records."""
