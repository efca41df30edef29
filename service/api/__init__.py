"""The REST API over a folder of runs."""
