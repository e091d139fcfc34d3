"""`arceaux doctor`: looks at broker, database, clock, registry and traffic, and says what to do."""
