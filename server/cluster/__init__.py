"""Sessions on several machines: docs/decisions/0029. `vivant serve` alone imports none of it."""
