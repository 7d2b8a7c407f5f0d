"""What strategies would do, asked in a designed grid of situations, and how newborns differ from their parents."""
