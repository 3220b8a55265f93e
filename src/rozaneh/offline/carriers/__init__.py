"""What carries chunks: each module turns runs of chunks into something that travels, and what arrived into chunks."""
