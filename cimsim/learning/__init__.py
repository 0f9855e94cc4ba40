"""Training: off-chip in floating point."""
