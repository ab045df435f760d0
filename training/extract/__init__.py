"""Films of talking people in, captured speech out: see "Your own films" in docs/training.md."""
