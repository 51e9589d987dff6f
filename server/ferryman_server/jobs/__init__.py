"""Work that must survive a crash, done in a process of its own (DESIGN §9).

    outbox row ─▶ Jobs (server) ─▶ Worker ═ pipes ═▶ child ─▶ DBOS workflow ─▶ its steps ─▶ store
                       ◀───────────── answer ◀──────────┘
    rows of what was made, in the state; events

The server's side is :mod:`.runner` (takes jobs), :mod:`.worker` (the process) and :mod:`.deriving` (what is recorded);
the child's is :mod:`.child`, :mod:`.durable` (DBOS) and :mod:`.derivation` (the work). Only the server writes the
state. The child reads it, and writes bytes into the store.
"""
