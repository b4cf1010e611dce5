"""Go's own execution traces with allocation events: read, put in order, written as a recording, and checked."""
