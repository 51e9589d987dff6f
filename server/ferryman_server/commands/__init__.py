"""The server's subcommands of `ferryman`; each module's `command` has the shape that the shell expects."""
