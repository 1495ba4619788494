"""One file a command; its first line is its help. A command parses, introduces rooms to each other, and prints."""
