"""What Rozaneh knows of the world outside: documents that age faster than programs."""
