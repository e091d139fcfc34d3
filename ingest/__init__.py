"""The service: MQTT in, one transaction a batch, acknowledged, live figures out. All I/O lives here."""
