"""A run of a fleet: its plan, what it issues and when, its processes, its file, and what came of it."""
