"""Files that appear whole or not at all, PNG, and a line of progress on a terminal."""
