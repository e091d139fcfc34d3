"""An archive or a capture played to a broker: what is sent, when, and under which topic."""
