"""LiveKit: an avatar worker in a room of theirs, and a video generator for programs of theirs."""
