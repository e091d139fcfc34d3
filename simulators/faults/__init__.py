"""What goes wrong between a sensor and its broker, by kind and probability."""
