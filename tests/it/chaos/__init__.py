"""Chaos: faults in a seeded order, under load, with an exact comparison after each phase."""
