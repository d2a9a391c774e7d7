"""The ways in that all commands and routes share: this process, or a running service."""
