"""Network filters: what decides over, looks at, or serves a connection."""
