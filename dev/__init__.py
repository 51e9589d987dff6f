"""`make dev`: the services of docker-compose.yml as plain processes of this machine, without Docker."""
