"""The subject model: extraction, the activation store, matching and explanations."""
