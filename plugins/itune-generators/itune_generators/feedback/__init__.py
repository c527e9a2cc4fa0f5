"""What a model says of answers: how it is asked, and what is made of what it says."""
