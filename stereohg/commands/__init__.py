"""What ``stereohg COMMAND`` runs, one file a command; each is a function that Python can call as well."""
