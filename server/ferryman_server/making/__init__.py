"""Pictures, films and facts made of media; in the jobs process, where it may take its time."""
