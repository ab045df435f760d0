"""Many sessions on many workers, simulated: `python -m benchmarks.scaling`, docs/scaling.md."""
