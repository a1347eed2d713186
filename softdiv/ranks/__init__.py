"""The processes a launcher starts: who they are, how they meet, what they tell each other."""
