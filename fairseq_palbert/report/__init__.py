"""Compare many runs from their recorded splits alone; see ``page``."""
