"""A small city as a registry: two car parks by spots, one by its counter."""

PARKING = """
[[car_park]]
code = "ANTI"
name = "Antigone"
zone = "centre"
capacity = 40
basis = "spots"
spots = ["P-001..P-039"]

[[car_park]]
code = "FOCH"
name = "Préfecture Foch"
zone = "centre"
capacity = 60
basis = "spots"
spots = ["A-01..A-60"]

[[car_park]]
code = "COME"
name = "Comédie"
zone = "centre"
capacity = 664
basis = "count"
timezone = "Europe/Paris"
"""
