"""The machine of 7aefdfded: one arena, its bitmap and its spans table in one reservation; a file as in Go."""
