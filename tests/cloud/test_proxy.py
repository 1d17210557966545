"""The emulated cloud at the cloud's own names: a proxy, and TLS with certificates of the run."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import certifi
import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312.cvm_client import CvmClient
from tencentcloud.cvm.v20170312.models import DescribeImagesRequest

from scf_local import network
from scf_local.cloud import hosts
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = Path(__file__).parents[2] / "events" / "seed"
BUCKET = "manifests-1250000000"

pytestmark = pytest.mark.filterwarnings("ignore:.*fileds are useless")  # of the typed SDK


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedCloud]:
    """A seeded cloud; this process has the variables that a function gets."""
    with EmulatedCloud(State.from_folder(SEED)) as running:
        for name, value in running.network().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(certifi, "where", lambda: os.environ[network.CA_BUNDLE])
        yield running


def credential(cloud: EmulatedCloud) -> Credential:
    """The SDK's form of the cloud's credentials."""
    keys = cloud.credentials
    return Credential(keys.secret_id, keys.secret_key, keys.token)


def cos_client(cloud: EmulatedCloud, **settings: Any) -> CosS3Client:  # noqa: ANN401 - any of CosConfig
    """A COS client in its production form."""
    keys = cloud.credentials
    config = CosConfig(
        Region="ap-guangzhou",
        SecretId=keys.secret_id,
        SecretKey=keys.secret_key,
        Token=keys.token,
        **settings,
    )
    return CosS3Client(config, retry=0)


# --- Official SDKs, in their production form ---


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "cvm.ap-guangzhou.tencentcloudapi.com",
        "cvm.intl.tencentcloudapi.com",
        "cvm.internal.tencentcloudapi.com",
        "cvm.ap-guangzhou.internal.tencentcloudapi.com",
        "cvm.ap-shanghai-fsi.tencentcloudapi.com",
    ],
)
@pytest.mark.parametrize("protocol", ["https", "http"])
def test_typed_sdk(cloud: EmulatedCloud, endpoint: str | None, protocol: str) -> None:
    """The typed SDK works unchanged at each kind of host, over TLS or not."""
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=endpoint, protocol=protocol))
    client = CvmClient(credential(cloud), "ap-guangzhou", profile)
    request = DescribeImagesRequest()
    request.Limit = 1
    assert client.DescribeImages(request).TotalCount > 1
    assert client.DescribeImages(request).ImageSet[0].ImageId  # on the same connection


@pytest.mark.parametrize(
    ("service", "version", "action", "code", "message"),
    [
        ("cvm", "2017-03-12", "RunInstances", "InvalidAction", "ModifyImageAttribute"),
        ("vpc", "2017-03-12", "DescribeVpcs", "NoSuchProduct", "emulated are cvm, tag"),
    ],
)
def test_what_is_not_emulated(  # noqa: PLR0913, PLR0917 - the parts of a call
    cloud: EmulatedCloud, service: str, version: str, action: str, code: str, message: str
) -> None:
    """An action or a service that is not emulated is an error that names those that are."""
    client = CommonClient(service, version, credential(cloud), "ap-guangzhou")
    with pytest.raises(TencentCloudSDKException, match=message) as raised:
        client.call_json(action, {})
    assert raised.value.code == code


def test_host_names_the_service(cloud: EmulatedCloud) -> None:
    """A request that is signed for another service than its host's is rejected."""
    profile = ClientProfile(httpProfile=HttpProfile(endpoint="tag.tencentcloudapi.com"))
    client = CommonClient("cvm", "2017-03-12", credential(cloud), "ap-guangzhou", profile)
    with pytest.raises(TencentCloudSDKException, match="the host is that of 'tag'") as raised:
        client.call_json("DescribeImages", {})
    assert raised.value.code == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"Scheme": "http"},
        {"EnableOldDomain": False},
        {"Endpoint": "cos-internal.ap-guangzhou.tencentcos.cn"},
    ],
)
def test_cos_sdk(cloud: EmulatedCloud, settings: dict[str, Any]) -> None:
    """The COS SDK works unchanged at each domain, over TLS or not."""
    client = cos_client(cloud, **settings)
    client.put_object(Bucket=BUCKET, Key="a b/名.txt", Body=b"x" * 3_000_000)
    body = client.get_object(Bucket=BUCKET, Key="a b/名.txt")["Body"].get_raw_stream().read()
    assert body == b"x" * 3_000_000
    assert cloud.state.snapshot()["Calls"][-1]["Region"] == "ap-guangzhou"


def test_host_without_a_bucket(cloud: EmulatedCloud) -> None:
    """Other hosts of COS, such as that of the list of buckets, are answered by name."""
    with pytest.raises(Exception, match=r"service\.cos\.myqcloud\.com is not the host of a bucket"):
        cos_client(cloud).list_buckets()
    (message,) = cloud.refused
    assert message.startswith("service.cos.myqcloud.com is not the host of a bucket")


# --- Other clients, with nothing but the variables ---


def presigned(cloud: EmulatedCloud) -> str:
    """A signed URL of an object."""
    headers = {"x-cos-security-token": cloud.credentials.token}
    client = cos_client(cloud)
    return str(client.get_presigned_url(BUCKET, "requests/rename.json", "GET", Params=headers))


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_urllib(cloud: EmulatedCloud, scheme: str) -> None:
    """Python's urllib reads a signed URL of COS."""
    url = presigned(cloud).replace("https", scheme, 1)
    opener = urllib.request.build_opener()  # that of `urlopen` keeps the variables of its first use
    with opener.open(url) as reply:
        assert json.load(reply)["ImageName"]


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(cloud: EmulatedCloud, scheme: str) -> None:
    """Curl reads a signed URL of COS, and shows why a host is not answered for."""
    curl = ("curl", "--silent", "--show-error", "--verbose")
    url = presigned(cloud).replace("https", scheme, 1)
    done = subprocess.run((*curl, url), capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(done.stdout)["ImageName"]
    done = subprocess.run((*curl, f"{scheme}://db.example.com/"), capture_output=True, text=True)  # noqa: S603, PLW1510
    assert "403 db.example.com is not emulated; --allow-host db.example.com" in done.stderr


def test_own_address(cloud: EmulatedCloud) -> None:
    """The cloud's own address is reached without the proxy, and through it."""
    proxies = {"http": cloud.url}
    assert requests.get(f"{cloud.url}/_state", timeout=5).ok
    session = requests.Session()
    session.trust_env = False
    assert session.get(f"{cloud.url}/_state", proxies=proxies, timeout=5).ok


# --- Hosts that are not emulated ---


@pytest.mark.parametrize(
    "host",
    [
        "db.example.com",
        "tencentcloudapi.com.example.com",
        "eviltencentcloudapi.com",
        "tencentcloudapi.com",
        "169.254.0.23",
        "cos.ap_x.myqcloud.com",
    ],
)
@pytest.mark.usefixtures("cloud")
def test_other_hosts(host: str) -> None:
    """Any other host is refused at once, with its name and the option that lets it through."""
    message = f"{host} is not emulated; --allow-host {host} lets it through"
    answer = requests.get(f"http://{host}/", timeout=5)
    assert (answer.status_code, answer.reason, answer.text) == (403, message, f"{message}\n")
    with pytest.raises(requests.exceptions.ProxyError, match=re.escape(message)):
        requests.get(f"https://{host}/", timeout=5)


def test_other_hosts_are_kept(cloud: EmulatedCloud) -> None:
    """The cloud keeps each refusal once, in order, and only the first of very many."""
    for number in (2, 1, 2, *range(3, 40)):
        requests.get(f"http://h{number}.example.com/", timeout=5)
    assert cloud.refused[:2] == [hosts.refusal(f"h{n}.example.com") for n in (2, 1)]
    assert len({*cloud.refused}) == len(cloud.refused) == 20


def test_allowed_hosts() -> None:
    """An allowed host is not sent to the proxy, and the public authorities are trusted, too."""
    with EmulatedCloud(allowed_hosts=("db.example.com",)) as cloud:
        variables = cloud.network()
        bundle = Path(variables[network.CA_BUNDLE]).read_text(encoding="ascii")
        context = ssl.create_default_context(cafile=variables[network.CA_BUNDLE])
    assert variables["NO_PROXY"] == variables["no_proxy"]
    assert variables["NO_PROXY"].endswith(",db.example.com")
    assert bundle.endswith(certifi.contents())
    assert len(context.get_ca_certs()) > 100


# --- The wire ---


def connection(cloud: EmulatedCloud) -> socket.socket:
    """A connection to the proxy, on which no test waits for long."""
    host, port = cloud.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def received(stream: socket.socket) -> bytes:
    """Everything until the connection is closed."""
    data = b""
    try:
        while chunk := stream.recv(1 << 16):
            data += chunk
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize(
    "request_line",
    [
        b"CONNECT cvm.tencentcloudapi.com HTTP/1.1",
        b"CONNECT cvm.tencentcloudapi.com:x HTTP/1.1",
        b"CONNECT  HTTP/1.1",
        b"CONNECT \xff\xfe:443 HTTP/1.1",
        b"CONNECT a\rb:443 HTTP/1.1",
        b"CONNECT " + b"a" * 300 + b":443 HTTP/1.1",
        b"CONNECT cvm.tencentcloudapi.com:443",
        b"CONNECT xn--a.ab--c.tencentcloudapi.com:443 HTTP/1.1",
    ],
)
def test_bad_connect(cloud: EmulatedCloud, request_line: bytes) -> None:
    """A CONNECT that names no host is refused in one line, and the connection closed."""
    with connection(cloud) as stream:
        stream.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        head, _, rest = received(stream).partition(b"\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert rest == b"Content-Length: 0\r\nConnection: close\r\n\r\n"


def test_head_that_never_ends() -> None:
    """A CONNECT whose head does not end is given up, by size or by time."""
    with EmulatedCloud(request_seconds=0.2) as cloud:
        with connection(cloud) as stream:
            stream.sendall(b"CONNECT a:443 HTTP/1.1\r\n" + b"x: y\r\n" * 20_000)
            assert received(stream) == b""
        for start in (b"", b"CONN", b"CONNECT a:443 HTTP/1.1\r\n"):
            with connection(cloud) as stream:
                stream.sendall(start)
                assert received(stream) == b""


def open_tunnel(stream: socket.socket, target: bytes) -> None:
    """Open a tunnel, byte by byte."""
    for byte in b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n\r\n":
        stream.sendall(bytes([byte]))
    assert stream.recv(1000) == b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize("target", ["cvm.tencentcloudapi.com:80", ""])
def test_tunnel_without_tls(cloud: EmulatedCloud, target: str) -> None:
    """A tunnel to port 80, or to the cloud's own address, carries plain HTTP."""
    with connection(cloud) as stream:
        open_tunnel(stream, (target or cloud.url.removeprefix("http://")).encode())
        stream.sendall(b"GET /_state HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert received(stream).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_other_ports_of_this_machine(cloud: EmulatedCloud, name: str) -> None:
    """The proxy does not answer for another server of this machine, which NO_PROXY exempts."""
    message = f"{name} is this machine, and not for the proxy: NO_PROXY has it"
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"http://{name}:8080/", proxies={"http": cloud.url}, timeout=5)
    assert (answer.status_code, answer.reason) == (403, message)
    with connection(cloud) as stream:
        stream.sendall(f"CONNECT {name}:8080 HTTP/1.1\r\n\r\n".encode())
        assert received(stream).startswith(f"HTTP/1.1 403 {message}\r\n".encode())


@pytest.mark.parametrize("early", [b"\x16\x03\x01\x02", b"GET /_state HTTP/1.1\r\n\r\n"])
def test_bytes_before_the_handshake(cloud: EmulatedCloud, early: bytes) -> None:
    """What a client sends with CONNECT belongs to no handshake, and ends the connection."""
    with connection(cloud) as stream:
        stream.sendall(b"CONNECT cvm.tencentcloudapi.com:443 HTTP/1.1\r\n\r\n" + early)
        assert received(stream) == b""


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_handshake_that_never_ends(sent: bytes) -> None:
    """A handshake that takes too long ends the connection, and the cloud stops as usual."""
    with EmulatedCloud(request_seconds=0.2) as cloud, connection(cloud) as stream:
        open_tunnel(stream, b"cvm.tencentcloudapi.com:443")
        stream.sendall(sent)
        assert received(stream) == b""


@pytest.mark.parametrize("sent", [b"", b"no TLS\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\x16"])
def test_broken_handshake(cloud: EmulatedCloud, sent: bytes) -> None:
    """A client that breaks the handshake off, or does not speak TLS, harms no other."""
    with connection(cloud) as stream:
        open_tunnel(stream, b"cvm.tencentcloudapi.com:443")
        stream.sendall(sent)
        stream.shutdown(socket.SHUT_WR)
        received(stream)
    assert requests.get("https://cvm.tencentcloudapi.com/_state", timeout=5).ok


def test_only_own_authority(cloud: EmulatedCloud) -> None:
    """A client that trusts only the public authorities is not served; others still are."""
    (public := Path(os.environ[network.CA_BUNDLE]).with_name("public.pem")).write_text(
        certifi.contents(), encoding="ascii"
    )
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        requests.get("https://cvm.tencentcloudapi.com/", verify=str(public), timeout=5)
    assert requests.get("https://cvm.tencentcloudapi.com/_state", timeout=5).ok
    assert cloud.state.snapshot()["Calls"] == []


def test_certificate_names_its_hosts_only(cloud: EmulatedCloud) -> None:
    """A certificate is valid for the host that the client asked for, not for another."""
    context = ssl.create_default_context(cafile=os.environ[network.CA_BUNDLE])
    for name, is_valid in (("tag.tencentcloudapi.com", True), ("a.myqcloud.com", False)):
        with connection(cloud) as stream:
            open_tunnel(stream, b"cvm.tencentcloudapi.com:443")
            try:
                context.wrap_socket(stream, server_hostname=name).close()
            except ssl.SSLCertVerificationError:
                assert not is_valid
            else:
                assert is_valid


def test_many_tunnels_at_once(cloud: EmulatedCloud) -> None:
    """Fifty clients at once, each with a tunnel of its own to another bucket, are answered."""

    def read(number: int) -> int:
        host = f"b{number}-1250000000.cos.ap-guangzhou.myqcloud.com"
        return requests.get(f"https://{host}/", timeout=20).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(read, range(50))) == {403}  # not signed
    assert len(cloud.state.snapshot()["Calls"]) == 50


def test_stop_with_open_tunnels() -> None:
    """A cloud that stops ends all connections, whatever state they are in."""
    with EmulatedCloud() as cloud:
        streams = [connection(cloud) for _ in range(4)]
        streams[1].sendall(b"CONNECT ")
        open_tunnel(streams[2], b"cvm.tencentcloudapi.com:443")
        open_tunnel(streams[3], b"cvm.tencentcloudapi.com:80")
        streams[3].sendall(b"GET /_state HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert streams[3].recv(10)
    for stream in streams:
        received(stream)
        stream.close()


def test_web_pages_cannot_read_it(cloud: EmulatedCloud) -> None:
    """A request whose Host is another name, as after DNS rebinding, is refused."""
    request = urllib.request.Request(f"{cloud.url}/_state", headers={"Host": "evil.example"})  # noqa: S310
    with pytest.raises(HTTPError) as raised:
        urllib.request.urlopen(request)  # noqa: S310 - a URL of the emulated cloud
    with raised.value as error:
        assert (error.code, error.reason) == (403, hosts.refusal("evil.example"))


# --- Host names ---


def test_name_that_is_too_long(cloud: EmulatedCloud) -> None:
    """No certificate can be made for a name above 253 characters; it is refused at once."""
    name = ".".join(["a" * 60] * 4) + ".myqcloud.com"
    with connection(cloud) as stream:
        stream.sendall(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
        assert b" is not the name of a host\r\n" in received(stream)


def test_final_dot(cloud: EmulatedCloud) -> None:
    """A name with a final dot is the same name."""
    answer = requests.get("https://cvm.tencentcloudapi.com./_state", timeout=5)
    assert answer.json() == cloud.state.snapshot()


def test_passwords_are_not_repeated(cloud: EmulatedCloud) -> None:
    """A refusal does not show the password in a URL."""
    with connection(cloud) as stream:
        stream.sendall(b"GET http://user:s3cret@example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
        reply = received(stream)
    assert b"403 example.com is not emulated" in reply
    assert b"s3cret" not in reply


@pytest.mark.parametrize(
    "name",
    [
        "com",
        "cn",
        "myqcloud.com",
        "TencentCloudAPI.com",
        "cvm.tencentcloudapi.com",
        "tencentcos.cn",
    ],
)
def test_emulated_hosts_cannot_be_allowed(name: str) -> None:
    """A host that is emulated, or above one that is, is never reached for real."""
    with pytest.raises(ValueError, match=f"--allow-host {name}: it, or one below it, is emulated"):
        network.check_allowed([name])


@pytest.mark.parametrize(
    "name", ["", "a..b", ".a", "a.", "a:1", "-", "*", "a" * 254, "a/b", "[::1]"]
)
def test_what_is_no_host_cannot_be_allowed(name: str) -> None:
    """What is not the name of a host is an error that says what is."""
    with pytest.raises(ValueError, match="must be a name or an IPv4 address without a port"):
        network.check_allowed(["db.example.com", "10.0.0.1", "db_1", name])


@pytest.mark.usefixtures("cloud")
def test_bucket_with_two_hyphens() -> None:
    """A bucket whose name looks like an internationalised one is served over TLS."""
    url = "https://ab--c-1250000000.cos.ap-guangzhou.myqcloud.com/x"
    assert requests.get(url, timeout=5).status_code == 403  # not signed


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("cvm.tencentcloudapi.com", "cvm", ""),
        ("cvm.intl.tencentcloudapi.com", "cvm", ""),
        ("CVM.Internal.tencentcloudapi.com:443", "cvm", ""),
        ("tag.ap-guangzhou.tencentcloudapi.com", "tag", "ap-guangzhou"),
        ("cvm.ap-shanghai-fsi.tencentcloudapi.com", "cvm", "ap-shanghai-fsi"),
        ("cvm.internal.na-siliconvalley.tencentcloudapi.com", "cvm", "na-siliconvalley"),
    ],
)
def test_api_hosts(host: str, service: str, region: str) -> None:
    """The name of an API's host has its service and, perhaps, a region."""
    assert hosts.api_of(hosts.name_of(host)) == (service, region)


def test_variables_reach_a_process(cloud: EmulatedCloud) -> None:
    """A process with only these variables works over TLS, without a word about the cloud."""
    code = (
        "import ssl, urllib.request\n"
        "print(urllib.request.urlopen('https://cvm.tencentcloudapi.com/_state').status)"
    )
    command = (sys.executable, "-c", code)
    done = subprocess.run(command, env=cloud.network(), capture_output=True, check=True)  # noqa: S603
    assert done.stdout == b"200\n"
