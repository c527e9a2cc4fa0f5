"""How like texts are: what they are made of, in what form they are compared, and what is kept to compare with."""
