"""Recording a program: its own Go builds it with a recorder in the runtime, and its raw log becomes a recording."""
