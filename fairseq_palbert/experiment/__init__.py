"""Experiments: preprocess a task, train one model a seed, score, and resume."""
