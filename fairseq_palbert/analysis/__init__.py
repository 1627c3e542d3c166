"""Recorded splits: measures, sweeps of exit rules, and the choice of thresholds."""
