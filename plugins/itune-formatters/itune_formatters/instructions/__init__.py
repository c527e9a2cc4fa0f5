"""Instruction data: a task, sometimes an input, and its answer."""
