"""What `make setup` is made of; the standard library is all it needs."""
