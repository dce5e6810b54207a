"""What a table holds, column by column: measured in two queries, shown as text, JSON or a page, and turned into rules."""
