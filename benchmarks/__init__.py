"""Benchmarks: this project and its peers side by side, on the same stream, in one run. `make bench` runs them."""
