"""Crossbar arrays: cells, wires and converters, and the analog matrix they make together."""
