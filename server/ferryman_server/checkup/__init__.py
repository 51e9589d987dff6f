"""What `ferryman doctor` looks at; each module answers with findings, none of them changes anything."""
