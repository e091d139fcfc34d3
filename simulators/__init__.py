"""Fleets of sensors, embedded parts for the demo, and the benchmark. Never imports processors or ingest."""
