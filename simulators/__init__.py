"""Fleets of sensors, captures and replay, the oracle, the demo and the benchmark. Never imports processors or ingest."""
