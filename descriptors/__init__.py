"""Corpora, proposers, curation, the catalog and membership."""
