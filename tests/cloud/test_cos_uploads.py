"""Uploads in parts to the emulated cloud with the official COS SDK."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from qcloud_cos.cos_exception import CosClientError

from cos_client import BUCKET, client_of, error_of, send
from scf_local.cloud.cos_calls import MAX_BYTES
from scf_local.cloud.seed import Object

if TYPE_CHECKING:
    from pathlib import Path

    from qcloud_cos import CosS3Client

    from scf_local.cloud.server import EmulatedCloud

KEY, MIB = "a/ü b.bin", 1 << 20
OBJECT = {"Bucket": BUCKET, "Key": KEY}
CONTENT = bytes(range(251)) * (MIB * 7 // 2 // 251)  # 3.5 MiB, each part different
PARTS = [CONTENT[start : start + MIB] for start in range(0, len(CONTENT), MIB)]
ETAG = '"2789c79b99c9fc7091f5458bdb6a9551-4"'


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """The COS client."""
    return client_of(cloud)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of several MB."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def upload(client: CosS3Client) -> dict[str, Any]:
    """The arguments of an upload that has begun."""
    begun = client.create_multipart_upload(**OBJECT, Metadata={"x-cos-meta-a": "b"})
    assert (begun["Bucket"], begun["Key"]) == (BUCKET, KEY)
    return {**OBJECT, "UploadId": begun["UploadId"]}


def put_parts(client: CosS3Client, upload: dict[str, Any], *bodies: bytes) -> list[dict[str, Any]]:
    """Upload parts, and return them as a completion has them."""
    return [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**upload, PartNumber=number, Body=body, EnableMD5=True)[
                "ETag"
            ],
        }
        for number, body in enumerate(bodies, 1)
    ]


def actions(cloud: EmulatedCloud) -> list[str]:
    """The actions of all calls."""
    return [call["Action"] for call in cloud.state.calls]


@pytest.mark.parametrize("threads", [1, 5])
def test_upload_file(client: CosS3Client, cloud: EmulatedCloud, file: Path, threads: int) -> None:
    """`upload_file` uploads a large file in parts, `download_file` reads it in ranges."""
    params = {**OBJECT, "LocalFilePath": str(file), "PartSize": 1, "MAXThread": threads}
    reply = client.upload_file(**params, EnableMD5=True, ContentType="text/x")
    assert (reply["ETag"], reply["Bucket"], reply["Key"]) == (ETAG, BUCKET, KEY)
    assert reply["Location"].endswith(f"{BUCKET}.cos.ap-guangzhou.myqcloud.com/a/%C3%BC%20b.bin")
    assert client.head_object(**OBJECT).items() >= {("ETag", ETAG), ("Content-Type", "text/x")}
    assert cloud.state.objects[BUCKET][KEY].content == CONTENT
    assert cloud.state.uploads == {}
    assert actions(cloud)[:2] == ["ListMultipartUploads", "InitiateMultipartUpload"]
    assert actions(cloud)[2:6] == ["UploadPart"] * 4
    assert {each["Action"] for each in cloud.state.writes()} == {
        *("InitiateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
    }
    copy = file.with_name("copy")
    client.download_file(
        **OBJECT, DestFilePath=str(copy), PartSize=1, DumpRecordDir=str(file.parent)
    )
    assert copy.read_bytes() == CONTENT
    assert actions(cloud).count("GetObject") == 4


def test_upload_small_file(client: CosS3Client, cloud: EmulatedCloud, file: Path) -> None:
    """`upload_file` uploads a small file in one request."""
    file.write_bytes(b"content")
    client.upload_file(**OBJECT, LocalFilePath=str(file))
    assert cloud.state.objects[BUCKET][KEY].content == b"content"
    assert actions(cloud) == ["PutObject"]


def test_resumed_upload(client: CosS3Client, cloud: EmulatedCloud, file: Path) -> None:
    """`upload_file` continues an upload, and uploads only the parts that are missing."""
    for part in (PARTS[0], b"other"):  # the last one cannot be continued
        begun = client.create_multipart_upload(**OBJECT)
        put_parts(client, {**OBJECT, "UploadId": begun["UploadId"]}, part)
    params = {**OBJECT, "LocalFilePath": str(file), "PartSize": 1}
    assert client.upload_file(**params)["ETag"] == ETAG
    assert actions(cloud).count("UploadPart") == 2 + 4
    client.abort_multipart_upload(**OBJECT, UploadId=begun["UploadId"])
    assert client.upload_file(**params)["ETag"] == ETAG
    assert actions(cloud).count("UploadPart") == 2 + 4 + 3
    assert cloud.state.uploads == {}


def test_parts(client: CosS3Client, cloud: EmulatedCloud, upload: dict[str, Any]) -> None:
    """Parts are listed by their number, and replaced by others with it."""
    put_parts(client, upload, *PARTS)
    client.upload_part(**upload, PartNumber=4, Body=b"other")
    reply = client.list_parts(**upload)
    assert (reply["IsTruncated"], reply["Key"]) == ("false", KEY)
    assert [part["PartNumber"] for part in reply["Part"]] == ["1", "2", "3", "4"]
    assert [int(part["Size"]) for part in reply["Part"]] == [MIB] * 3 + [5]
    assert reply["Part"][3]["ETag"] == '"795f3202b17cb6bc3d4b771d8c6c9eaf"'
    assert KEY not in cloud.state.objects[BUCKET]


def test_listed_uploads(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Uploads are listed by key and time, until they end."""
    begun = [(k, client.create_multipart_upload(Bucket=BUCKET, Key=k)["UploadId"]) for k in "bab"]
    expected = [begun[1], *sorted([begun[0], begun[2]])]
    reply = client.list_multipart_uploads(Bucket=BUCKET)
    assert [(each["Key"], each["UploadId"]) for each in reply["Upload"]] == expected
    assert reply["Upload"][0]["Initiated"].endswith("Z")
    (entry,) = client.list_multipart_uploads(Bucket=BUCKET, Prefix="a")["Upload"]
    assert entry["UploadId"] == begun[1][1]
    for params in ({"MaxUploads": 1}, {"Delimiter": "/"}, {"KeyMarker": "a"}):
        refused = error_of(client.list_multipart_uploads, Bucket=BUCKET, **params)
        assert refused == (400, "NotImplemented")
    cloud.state.objects["other-1250000000"] = {}
    assert "Upload" not in client.list_multipart_uploads(Bucket="other-1250000000")
    for key, upload_id in begun:
        client.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload_id)
    assert "Upload" not in client.list_multipart_uploads(Bucket=BUCKET)


def test_completion(client: CosS3Client, cloud: EmulatedCloud, upload: dict[str, Any]) -> None:
    """A completed upload has the headers of its beginning, and the parts that are named."""
    parts = put_parts(client, upload, *PARTS)
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    unquoted = {**parts[0], "ETag": parts[0]["ETag"].strip('"')}  # as clients send it, too
    named = {"Part": [unquoted, parts[3]]}
    reply = client.complete_multipart_upload(**upload, MultipartUpload=named)
    stored = cloud.state.objects[BUCKET][KEY]
    assert reply["x-cos-version-id"] == stored.version
    assert stored.content == PARTS[0] + PARTS[3]
    assert stored.headers["x-cos-meta-a"] == "b"
    assert reply["ETag"].endswith('-2"')
    again = error_of(client.complete_multipart_upload, **upload, MultipartUpload=named)
    assert again == (404, "NoSuchUpload")


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ([1, 0], "InvalidPartOrder"),
        ([0, 0], "InvalidPartOrder"),
        ([0, 1, 2], "EntityTooSmall"),
        ([3], "InvalidPart"),
        ([4], "InvalidPart"),
        ([5], "InvalidPart"),
        ([], "MalformedXML"),
    ],
)
def test_invalid_completions(
    client: CosS3Client, cloud: EmulatedCloud, upload: dict[str, Any], order: list[int], code: str
) -> None:
    """Parts in a wrong order, too small, unknown or changed complete nothing, and are kept."""
    small = put_parts(client, upload, PARTS[0], b"small", b"last")
    parts = [*small, {**small[0], "PartNumber": 9}, {**small[0], "ETag": "0"}]
    parts += [{**small[0], "PartNumber": "9" * 5000}]
    chosen = {"Part": [parts[index] for index in order]}
    result = error_of(client.complete_multipart_upload, **upload, MultipartUpload=chosen)
    assert result == (400, code)
    assert KEY not in cloud.state.objects[BUCKET]
    assert len(client.list_parts(**upload)["Part"]) == 3


@pytest.mark.parametrize("call", ["upload_part", "list_parts", "abort", "complete"])
@pytest.mark.parametrize(
    "change", [{"UploadId": "1"}, {"Key": "other"}, {"Bucket": "other-1250000000"}], ids=str
)
def test_no_such_upload(
    client: CosS3Client,
    cloud: EmulatedCloud,
    upload: dict[str, Any],
    call: str,
    change: dict[str, str],
) -> None:
    """An upload is found only by its id together with its key and bucket."""
    cloud.state.objects["other-1250000000"] = {}
    parts = put_parts(client, upload, b"a")
    name = f"{call}_multipart_upload" if call in {"abort", "complete"} else call
    params: dict[str, Any] = {"complete": {"MultipartUpload": {"Part": parts}}}.get(call, {})
    if call == "upload_part":
        params = {"PartNumber": 1, "Body": b"b"}
    assert error_of(getattr(client, name), **{**upload, **change, **params}) == (
        404,
        "NoSuchUpload",
    )
    assert len(client.list_parts(**upload)["Part"]) == 1


@pytest.mark.parametrize("number", [b"", b"0", b"10001", b"x"])
def test_invalid_part_number(cloud: EmulatedCloud, upload: dict[str, Any], number: bytes) -> None:
    """A part has a number from 1 to 10,000."""
    params = {"uploadId": upload["UploadId"].encode(), "partNumber": number}
    status, _, body = send(cloud, "PUT", KEY.encode(), params, body=b"a")
    assert (status, ET.fromstring(body).findtext("Code")) == (400, "NotImplemented")  # noqa: S314
    assert cloud.state.uploads[upload["UploadId"]].parts == {}
    assert send(cloud, "PUT", KEY.encode(), {"partNumber": b"1"}, body=b"a")[0] == 404


def test_size_of_an_upload(
    client: CosS3Client, cloud: EmulatedCloud, upload: dict[str, Any]
) -> None:
    """All parts together may have as many bytes as an object."""
    parts = cloud.state.uploads[upload["UploadId"]].parts
    parts[1] = Object(bytes(MAX_BYTES - 1))
    client.upload_part(**upload, PartNumber=2, Body=b"a")
    result = error_of(client.upload_part, **upload, PartNumber=3, Body=b"b")
    assert result == (400, "EntityTooLarge")
    assert sorted(parts) == [1, 2]
    client.upload_part(**upload, PartNumber=1, Body=b"ab")


def test_failed_upload_file(client: CosS3Client, cloud: EmulatedCloud, file: Path) -> None:
    """An upload to a bucket that does not exist raises, as with COS."""
    cloud.state.objects.clear()
    assert error_of(client.upload_file, **OBJECT, LocalFilePath=str(file)) == (404, "NoSuchBucket")
    with pytest.raises(CosClientError):
        client.complete_multipart_upload(**OBJECT, UploadId="1", MultipartUpload={})
