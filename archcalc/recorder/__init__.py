"""Recording a program: its own Go builds it with a recorder in the runtime, whose log becomes a recording."""
