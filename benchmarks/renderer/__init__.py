"""How the renderer looks, in numbers and in pictures: `python -m benchmarks.renderer`."""
