"""How people reach neuroscribe: settings, pipeline and command line."""
