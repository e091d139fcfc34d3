"""What is told to the public, in each language: one TOML file a language, all with the same keys."""
