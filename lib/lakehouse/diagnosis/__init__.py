"""What a run needs of its machine and its environment, looked at one by one, each with the remedy."""
