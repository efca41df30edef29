"""Texts, vectors and the FAISS index."""
