"""The command line: a file for each command. Only what `--help` needs is imported at the top."""
