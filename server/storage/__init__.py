"""Portraits, backgrounds and recordings in one place for many workers (docs/decisions/0032)."""
