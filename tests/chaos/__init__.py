"""The fault runs: each does one harm to a running city and ends with everything accounted for."""
