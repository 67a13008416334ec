"""How fast, and for how much, the reconciliation brings a pool to the table: the real code in simulated time."""
