"""Samples as data: configs, zones, routes, scenarios. A program looks for none of them by itself."""
