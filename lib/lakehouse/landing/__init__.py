"""Files on their way into the lake: which are new, what is known of those that were taken, and where they go then."""
