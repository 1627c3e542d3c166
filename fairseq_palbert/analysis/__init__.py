"""Recorded splits: measures, sweeps over exit rules, and the choice of thresholds."""
