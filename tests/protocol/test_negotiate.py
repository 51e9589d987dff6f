"""Which protocol a request speaks: the decision vectors, and what must hold for every request."""

from hypothesis import given

from ferryman_protocol import negotiate
from ferryman_protocol.commands import Describe
from ferryman_protocol.model import Limits, Request
from ferryman_protocol.problems import Refused
from tests.protocol import decisions, requests


@decisions.each("negotiate.json")
def test_vectors(setting: decisions.Setting, case: decisions.Json) -> None:
    """Each case is recognised, decided and answered as it says."""
    decisions.check(decisions.decide(setting, case), case["expect"])


@given(requests.requests(), requests.limits)
def test_any_request_is_recognised_or_refused(request: Request, limits: Limits) -> None:
    """Recognition raises nothing but Refused, and the fallback's refusal can be sent."""
    try:
        dialect = negotiate.recognise(request, limits)
    except Refused as refused:
        dialect = negotiate.fallback(request)
        requests.check_reply(dialect.refused(refused.problem, upload=None, limits=limits, now=0.0))
        return
    requests.read_or_refuse(dialect, request, limits)


@given(requests.requests(), requests.limits)
def test_options_always_describes(request: Request, limits: Limits) -> None:
    """OPTIONS is described whatever its header fields hold (T9, R8)."""
    options = Request(method="OPTIONS", upload_id=request.upload_id, headers=request.headers)
    command = negotiate.recognise(options, limits).read(options, limits)
    assert command == Describe(upload_id=request.upload_id)


@given(requests.requests(), requests.limits)
def test_the_fallback_speaks_the_recognised_protocol(request: Request, limits: Limits) -> None:
    """Where a request is recognised, the fallback would have answered in the same protocol and version."""
    if request.method == "OPTIONS":
        return
    try:
        dialect = negotiate.recognise(request, limits)
    except Refused:
        return
    assert negotiate.fallback(request) == dialect


@given(requests.limits)
def test_the_description_can_be_sent(limits: Limits) -> None:
    """The answer to OPTIONS is well-formed for any limits, and says min-size=0 where there are none (R8)."""
    reply = negotiate.described(limits)
    requests.check_reply(reply)
    assert dict(reply.headers)["Upload-Limit"]
    assert dict(negotiate.described(Limits()).headers)["Upload-Limit"] == "min-size=0"
