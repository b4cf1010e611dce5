"""Questions about one recording, each with its result."""
