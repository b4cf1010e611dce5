"""Go's own execution traces with allocation events: read, put in order, recorded, and checked."""
