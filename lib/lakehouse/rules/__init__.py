"""Row and set rules: one file, one function each; true passes and NULL passes."""
