"""`python -m ferryman_server.jobs`: the jobs process. The server starts it; it is of no use by itself."""

from ferryman_server.jobs.child import main

if __name__ == "__main__":
    main()
