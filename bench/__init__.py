"""Measurements: forward passes, load, and other servers beside this one."""
