"""Rules as expectations and expectations as rules: what Great Expectations calls the same, and what it cannot say."""
