"""Reading what people write: files with places, declared fields, sizes and addresses, and their mistakes."""
