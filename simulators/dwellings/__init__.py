"""How instrumented homes behave, and what their gateways say of it."""
