"""Facts about platforms: from YAML to a frozen Profile."""
