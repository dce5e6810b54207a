"""What change data means, as pure frames: events, the versions they make, and what differs from a target. No action."""
