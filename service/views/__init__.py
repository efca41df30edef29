"""What the API and the pages read of a run, ready for many readers at once."""
