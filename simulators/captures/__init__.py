"""Captures: recorded MQTT traffic in files, written by `arceaux record` and played by `arceaux replay`."""
