"""Captures: traffic of a broker written to a file, and read back."""
