"""Balancers: one file per policy. Each picks from a table prepared when endpoints change."""
