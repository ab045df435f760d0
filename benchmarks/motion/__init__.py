"""The bench of the motion model: its lips, its life and its cost, on speech it never heard."""
