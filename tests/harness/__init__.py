"""Real parts for tests: broker, databases, the service, clients. Nothing here pretends to be one of them."""
