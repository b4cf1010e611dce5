"""What commands find out, before anything is printed: typed values, tables, findings."""
