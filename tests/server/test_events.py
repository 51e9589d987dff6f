"""Events reach every listener in order, and no listener can harm the publisher or another listener."""

import structlog

from ferryman_server.events import NAMES, Event, Events

CREATED = Event("created", "a" * 26, 1.0, {"length": 5})


def test_every_listener_hears_every_event_in_order() -> None:
    """Two listeners, two events."""
    events, heard = Events(), list[tuple[str, str]]()
    events.subscribe(lambda event: heard.append(("first", event.name)))
    events.subscribe(lambda event: heard.append(("second", event.name)))
    events.publish(CREATED)
    events.publish(Event("complete", CREATED.upload_id, 2.0))
    assert heard == [("first", "created"), ("second", "created"), ("first", "complete"), ("second", "complete")]


def test_unsubscribing_ends_it() -> None:
    """What subscribe returned may be called twice."""
    events, heard = Events(), list[Event]()
    unsubscribe = events.subscribe(heard.append)
    unsubscribe()
    unsubscribe()
    events.publish(CREATED)
    assert heard == []


def test_a_failing_listener_is_logged_and_the_others_still_hear() -> None:
    """`publish` never raises."""
    events, heard = Events(), list[Event]()

    def fails(event: Event) -> None:
        raise RuntimeError("no")

    events.subscribe(fails)
    events.subscribe(heard.append)
    with structlog.testing.capture_logs() as logs:
        events.publish(CREATED)
    assert heard == [CREATED]
    assert [(entry["event"], entry["upload_id"]) for entry in logs] == [("a listener failed", CREATED.upload_id)]


def test_a_listener_may_unsubscribe_while_it_is_called() -> None:
    """The next listener is not skipped."""
    events, heard = Events(), list[str]()

    def once(event: Event) -> None:
        heard.append("once")
        unsubscribe()

    unsubscribe = events.subscribe(once)
    events.subscribe(lambda event: heard.append("always"))
    events.publish(CREATED)
    events.publish(CREATED)
    assert heard == ["once", "always", "always"]


def test_the_names_are_those_of_the_design() -> None:
    """Names are part of what clients see later."""
    steps, ends = (
        ("created", "progress", "frame", "complete"),
        ("published", "derived", "retracted", "failed", "terminated", "expired"),
    )
    assert (*steps, *ends) == NAMES
