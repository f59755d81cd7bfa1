"""The topics of MQTT and who may speak on them (WIRE section 11)."""
