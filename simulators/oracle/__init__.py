"""The oracle: what a fleet has issued, held against what is stored and retained. Shares no code with the service."""
