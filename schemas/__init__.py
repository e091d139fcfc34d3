"""What Arceaux speaks: payloads, topics, registry, settings and the database schema. Imports nothing of ours."""
