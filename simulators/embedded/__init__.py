"""The parts that `arceaux demo` runs on: a broker and a database out of wheels, and programs run as children."""
