"""`python -m ingest` is `arceaux`."""

from ingest.cli import main

main()
