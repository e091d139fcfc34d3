"""How a city's parking behaves, and what its bay sensors and counters say of it."""
