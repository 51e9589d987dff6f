"""Every request is known for the S3 operation that it is."""

import pytest

from tests.s3.operations import Call, Operation, call_of

COPY = {"x-amz-copy-source": "/bucket/other"}


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("POST", "/b/k?uploads", Operation.CREATE_MULTIPART),
        ("POST", "/b/k?uploads=", Operation.CREATE_MULTIPART),
        ("PUT", "/b/k?partNumber=3&uploadId=u", Operation.UPLOAD_PART),
        ("PUT", "/b/k?uploadId=u&partNumber=3&x-id=UploadPart", Operation.UPLOAD_PART),
        ("PUT", "/b/k?X-Amz-Signature=0&partNumber=3&uploadId=u", Operation.UPLOAD_PART),
        ("POST", "/b/k?uploadId=u", Operation.COMPLETE),
        ("DELETE", "/b/k?uploadId=u", Operation.ABORT),
        ("GET", "/b/k?uploadId=u&max-parts=10&part-number-marker=3", Operation.LIST_PARTS),
        ("PUT", "/b/k", Operation.PUT),
        ("PUT", "/b/deep/k", Operation.PUT),
        ("GET", "/b/k?versionId=v&response-content-type=text%2Fplain", Operation.GET),
        ("GET", "/b/k?partNumber=1", Operation.GET),
        ("HEAD", "/b/k", Operation.HEAD),
        ("DELETE", "/b/k", Operation.DELETE),
        ("GET", "/b?uploads&prefix=k&max-uploads=1", Operation.LIST_MULTIPART),
        ("GET", "/b/?list-type=2&prefix=p%2F&continuation-token=t", Operation.LIST),
        ("GET", "/b", Operation.LIST),
        ("GET", "/", Operation.OTHER),
        ("PUT", "/b", Operation.OTHER),
        ("HEAD", "/b", Operation.OTHER),
        ("GET", "/b?location", Operation.OTHER),
        ("PUT", "/b/k?tagging", Operation.OTHER),
        ("POST", "/b?delete", Operation.OTHER),
    ],
)
def test_an_operation_is_told_by_method_and_address(method: str, target: str, operation: Operation) -> None:
    """Parameters of a signature or a page do not matter; those that name a part of the object do."""
    assert call_of(method, target, {}).operation is operation


def test_copies_are_told_by_their_source() -> None:
    """The same addresses with a copy source are other operations, with other costs."""
    assert call_of("PUT", "/b/k", COPY).operation is Operation.COPY
    assert call_of("PUT", "/b/k?partNumber=1&uploadId=u", COPY).operation is Operation.UPLOAD_PART_COPY


def test_what_is_asked_for_is_decoded() -> None:
    """Key and upload id are as the client meant them."""
    assert call_of("PUT", "/b/a%20b/%C3%BC%2Fc?partNumber=12&uploadId=a%2Bb", {}) == Call(
        operation=Operation.UPLOAD_PART, bucket="b", key="a b/ü/c", part=12, upload_id="a+b"
    )
