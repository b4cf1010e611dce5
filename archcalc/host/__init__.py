"""What the tool asks of the computer that it runs on: files written whole, workers, optional packages."""
