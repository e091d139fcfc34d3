"""Fleets of sensors, captures, replay, the oracle, the demo and the benchmark. Never imports processors or ingest."""
