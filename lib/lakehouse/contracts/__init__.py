"""Contracts between those who write and those who read: how one differs from an earlier one, and in other tools' words."""
