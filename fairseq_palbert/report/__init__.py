"""Many runs side by side, from their recorded splits alone: what palbert report writes. See ``page``."""
