"""The command line, a module a subject: what each command does, what it takes (`*_options`) and what it prints (`*_reports`)."""
