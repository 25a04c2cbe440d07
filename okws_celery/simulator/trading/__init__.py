"""Trading on the simulated exchange: orders, fills, balances, positions; no I/O, and no clock of its own."""
