"""How fast, how large and how good neuroscribe is; `python -m benchmarks.run` measures it."""
