"""What those who live in a home can ask for: an export, an erasure, to be let in again, and the public register."""
