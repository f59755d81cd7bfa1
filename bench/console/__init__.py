"""The console's numbers (CONSOLE section 11): real collector, real broker, the system's Chromium with WebGL in software."""
