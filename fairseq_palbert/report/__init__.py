"""Many runs side by side, from their recorded splits alone: what recipes/report.sh writes. See ``page``."""
