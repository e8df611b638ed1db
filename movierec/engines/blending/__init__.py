"""What a blend is made with: its parts and their scales, the search for their weights, and the memory of states."""
