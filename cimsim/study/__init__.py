"""Sweeps of any function, and studies: what a network's accuracy depends on, from a TOML file to tables and plots."""
