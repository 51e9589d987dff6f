"""The server is gone or silent for everybody, and comes back."""

from collections.abc import Iterator

import pytest

from tests.s3.rig import Rig, proxied, request
from tests.support.raw_http import RawClient


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A proxy of this test alone."""
    with proxied() as made:
        yield made


def test_a_server_that_is_gone_refuses_and_has_reset_everything(rig: Rig) -> None:
    """Connections that were open are no more; nothing of it reaches upstream."""
    with rig.client() as open_one:
        open_one.send(request("GET", "/b/1"))
        assert open_one.response().status == 200
        rig.proxy.refuse()
        with pytest.raises(ConnectionResetError):
            open_one.socket.recv(1)
    with pytest.raises(ConnectionRefusedError):
        rig.client()
    assert rig.upstream.targets() == ["/b/1"]


def test_it_comes_back_on_the_same_port(rig: Rig) -> None:
    """As often as a test likes; to say it twice does nothing."""
    for _ in range(3):
        rig.proxy.refuse()
        rig.proxy.refuse()
        rig.proxy.accept()
        rig.proxy.accept()
        assert rig.ask("GET", "/b/k").status == 200


def test_a_silent_server_takes_connections_and_says_nothing(rig: Rig) -> None:
    """Neither old nor new connections move; what was sent meanwhile is answered when it speaks again."""
    with rig.client() as old:
        old.send(request("GET", "/b/1"))
        assert old.response().status == 200
        rig.proxy.blackhole()
        with rig.client() as new:
            for client in (old, new):
                client.send(request("GET", "/b/2"))
            for client in (old, new):
                assert silent(client)
            assert rig.upstream.targets() == ["/b/1"]
            rig.proxy.accept()
            assert [client.response().status for client in (old, new)] == [200, 200]


def silent(client: RawClient) -> bool:
    """Whether nothing comes for a while."""
    client.socket.settimeout(0.1)
    try:
        client.socket.recv(1)
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(20)
    return False


def test_a_silent_server_can_be_gone_next(rig: Rig) -> None:
    """Who waited for it is reset."""
    rig.proxy.blackhole()
    with rig.client() as client:
        client.send(request("GET", "/b/k"))
        assert silent(client)
        rig.proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


def test_all_connections_are_cut_and_new_ones_taken(rig: Rig) -> None:
    """As when a server is started anew faster than anybody looks."""
    with rig.client() as client:
        client.send(request("GET", "/b/1"))
        assert client.response().status == 200
        rig.proxy.cut_all()
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    assert rig.ask("GET", "/b/2").status == 200
