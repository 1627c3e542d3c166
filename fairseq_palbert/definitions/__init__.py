"""Task definitions: what they say, how they are read, and how answers are scored."""
