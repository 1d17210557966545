"""What a function reaches besides the emulated cloud: nothing, but for `--allow-host`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from conftest import ROOT
from scf_local import network, runtime
from scf_local.cloud.server import EmulatedCloud
from scf_local.runtime import Offline

if TYPE_CHECKING:
    from collections.abc import Iterator

SCF_LOCAL = Path(sys.executable).with_name("scf-local")
LOOPBACK = ",".join(network.LOOPBACK)


def invoke(folder: Path, code: str, *arguments: str, event: object = None) -> tuple[Any, str]:
    """Run a function `main`; return its result, or None, and what the user sees."""
    (folder / "index.py").write_text(code, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own command
        [SCF_LOCAL, "invoke", "--handler", "index.main", *arguments],
        cwd=folder,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return json.loads(done.stdout or "null"), done.stderr


# --- Direct connections ---

THIS_MACHINE = [
    "127.0.0.1", "127.0.0.53", "127.1", "localhost", "LOCALHOST.", "db.localhost", "::1", "::",
    "0.0.0.0", "::ffff:127.0.0.1", "", b"localhost", bytearray(b"127.0.0.1"),  # noqa: S104
    os.uname().nodename,
]  # fmt: skip
ADDRESSES = [
    "10.0.0.1", "128.0.0.1", "2001:db8::1", "::2", "::ffff:10.0.0.1", bytearray(b"10.0.0.1"),
]  # fmt: skip
NAMES = [
    "example.com", "127.example.com", "localhost.example.com", "notlocalhost", "mylocalhost.com",
    "127.0.0.1.example.com", "cafe.de", "feed", b"example.com", "<broadcast>", "名.example",
    b"\xff", "xdb.example.com", "db.example.com.evil.com", "db.example.co",
]  # fmt: skip


def name_of(host: object) -> object:
    """A host as text."""
    return bytes(host).decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host


def error_of(hook: Offline, event: str, args: tuple[object, ...]) -> OSError | None:
    """What the hook raises."""
    try:
        hook(event, args)
    except OSError as error:
        return error
    return None


def stops(hook: Offline, host: object) -> bool:
    """Whether the hook stops what is done with a host, which is the same for all events."""
    errors = {
        event: error_of(hook, event, args)
        for event, args in {
            "socket.getaddrinfo": (host, 443, 0, 0, 0),
            "socket.gethostbyname": (host,),
            "socket.gethostbyaddr": (host,),
            "socket.connect": (None, (host, 443)),
            "socket.sendto": (None, (host, 53, 0, 0)),
            "socket.sendmsg": (None, (host, 53)),
        }.items()
    }
    for event, error in errors.items():
        name = name_of(host)
        text = f"no direct connection to {name}: hosts of the emulated cloud are reached through "
        assert not error or text in str(error)
        assert not error or str(error).endswith(f"--allow-host {name}")
        assert not error or isinstance(error, socket.gaierror) == event.startswith("socket.get")
    (is_stopped,) = {error is not None for error in errors.values()}
    return is_stopped


@pytest.mark.parametrize("host", THIS_MACHINE, ids=repr)
def test_this_machine_is_reached(host: object) -> None:
    """This machine is always reached: the emulated cloud is there, and perhaps other servers."""
    assert not stops(Offline(LOOPBACK), host)


@pytest.mark.parametrize("host", ADDRESSES + NAMES, ids=repr)
def test_others_are_not(host: object) -> None:
    """Any other host is stopped, by name or address, with its name and the option."""
    assert stops(Offline(LOOPBACK), host)


@pytest.mark.parametrize(
    "host", ["db.example.com", "DB.example.com.", "a.b.db.example.com", b"db.example.com"], ids=repr
)
def test_allowed_name(host: object) -> None:
    """An allowed host is reached, with those below it."""
    assert not stops(Offline(f"{LOOPBACK},DB.example.com"), host)


@pytest.mark.parametrize("host", NAMES, ids=repr)
def test_names_beside_an_allowed_one(host: object) -> None:
    """No other name is reached, though it begins or ends like it, or looks like an address."""
    assert stops(Offline(f"{LOOPBACK},db.example.com"), host)


def test_addresses_beside_an_allowed_name() -> None:
    """With an allowed name, all addresses are: one of them may be its own."""
    hook = Offline(f"{LOOPBACK},db.example.com")
    for address in ADDRESSES:
        assert not stops(hook, address)


def test_allowed_address() -> None:
    """An allowed address is reached, and no other."""
    hook = Offline(f"{LOOPBACK},10.0.0.1")
    assert not stops(hook, "10.0.0.1")
    for host in ("10.0.0.2", "110.0.0.1", "2001:db8::1", "example.com"):
        assert stops(hook, host)


def test_other_kinds_of_sockets() -> None:
    """What is no host is not stopped: other events, families of addresses, and no address."""
    hook = Offline(LOOPBACK)
    for address in ("/tmp/socket", b"\0abstract", (0, 0), (2, 1024), None):  # noqa: S108 - of a socket
        hook("socket.connect", (None, address))
        hook("socket.sendmsg", (None, address))
    hook("socket.getaddrinfo", (None, 80, 0, 0, 0))
    hook("open", ("example.com", "r", 0))


SOCKETS = """
import asyncio, ftplib, http.client, os, smtplib, socket, tempfile, urllib.request

def udp(family, host):
    with socket.socket(family, socket.SOCK_DGRAM) as stream:
        return stream.sendto(b"x", (host, 9))

def unix():
    path = os.path.join(tempfile.mkdtemp(), "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)

def main(event, context):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    results = {}
    for name, action in {
        "unix": unix,
        "udp": lambda: udp(socket.AF_INET, "127.0.0.1"),
        "own name": lambda: socket.gethostbyname(socket.gethostname()) and socket.getfqdn(),
        "create_connection": lambda: socket.create_connection(("db.example.com", 3306)),
        "http.client": lambda: http.client.HTTPSConnection("db.example.com").request("GET", "/"),
        "urllib": lambda: direct.open("http://db.example.com"),
        "smtplib": lambda: smtplib.SMTP("db.example.com"),
        "ftplib": lambda: ftplib.FTP("db.example.com"),
        "asyncio": lambda: asyncio.run(asyncio.open_connection("db.example.com", 3306)),
        "IPv4": lambda: socket.create_connection(("192.0.2.1", 80)),
        "IPv6": lambda: socket.create_connection(("2001:db8::1", 80)),
        "UDP": lambda: udp(socket.AF_INET, "192.0.2.1"),
    }.items():
        try:
            action()
            results[name] = "done"
        except OSError as error:
            results[name] = str(error)
    return results
"""


def test_clients_of_the_standard_library(tmp_path: Path) -> None:
    """Clients that ignore the proxy are stopped with the host's name; local sockets work."""
    results, log = invoke(tmp_path, SOCKETS)
    assert results, log
    assert [name for name, result in results.items() if result == "done"] == [
        "unix", "udp", "own name"
    ]  # fmt: skip
    hosts = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1", "UDP": "192.0.2.1"}
    for name in [*results][3:]:
        host = hosts.get(name, "db.example.com")
        assert f"no direct connection to {host}: " in results[name]
        assert results[name].rstrip(">").endswith(f"--allow-host {host}")


# --- Allowed hosts ---


class Hello(BaseHTTPRequestHandler):
    """Answers any request."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a real server, at an address of this machine that is not in NO_PROXY."""
    try:
        server = ThreadingHTTPServer(("127.0.0.2", 0), Hello)
    except OSError:
        pytest.skip("this system has no 127.0.0.2")
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.2:{server.server_port}/"
        server.shutdown()


GET = "import requests\ndef main(event, context): return requests.get(event, timeout=9).text"
RAISE = GET.replace(".text", ".raise_for_status()")


def test_allowed_host_is_reached(tmp_path: Path, server: str) -> None:
    """With `--allow-host`, also in scf-local.toml, a real server is reached; without, it is not."""
    assert invoke(tmp_path, GET, "--allow-host", "127.0.0.2", event=server)[0] == "hello"
    result, log = invoke(tmp_path, RAISE, event=server)
    assert result is None
    assert "127.0.0.2 is not emulated; --allow-host 127.0.0.2 lets it through" in log
    (tmp_path / "scf-local.toml").write_text('allow-host = ["127.0.0.2", "db.example.com"]')
    assert invoke(tmp_path, GET, event=server)[0] == "hello"


def test_allowed_host_is_reached_directly(tmp_path: Path) -> None:
    """A client that ignores the proxy is let through to an allowed name, and to no other."""
    code = (
        "import socket\ndef main(event, context):\n    try: socket.getaddrinfo(event, 80)\n"
        "    except OSError as error: return str(error)"
    )
    name = "db.invalid"  # never resolved
    stopped = f"no direct connection to {name}: "
    assert stopped in invoke(tmp_path, code, "--allow-host", "example.com", event=name)[0]
    assert stopped not in invoke(tmp_path, code, "--allow-host", "invalid", event=name)[0]


def test_variables_let_no_host_through(tmp_path: Path) -> None:
    """A function's own NO_PROXY takes a host from the proxy, but lets it through to nothing."""
    code = "import socket\ndef main(event, context): socket.create_connection(('10.1.2.3', 80))"
    _, log = invoke(tmp_path, code, "--env", "NO_PROXY=10.1.2.3,db.example.com")
    assert "no direct connection to 10.1.2.3: " in log


# --- Certificates ---

BUNDLE = "/bundle.pem"


def where(tmp_path: Path, code: str) -> Any:  # noqa: ANN401 - JSON
    """Run code after `TrustedBundle` is installed, and return what it assigns to `result`."""
    program = (
        "import json, sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(Path(runtime.__file__).parent)!r}]\n"
        f"import runtime; sys.meta_path.insert(0, runtime.TrustedBundle({BUNDLE!r}))\n"
        f"{code}\nprint(json.dumps(result))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "code",
    [
        "import certifi; result = certifi.where()",
        "from certifi import where; result = where()",
        "import certifi, requests; result = requests.certs.where()",
        "import requests, certifi; result = certifi.where()",
        "import certifi.core; import certifi; result = certifi.where()",
        "import importlib, certifi; importlib.reload(certifi); result = certifi.where()",
        "import tencentcloud.common.http.request as r; result = r.certifi.where()",
    ],
)
def test_certifi_returns_the_bundle(tmp_path: Path, code: str) -> None:
    """`certifi.where` returns the run's bundle, however it is imported."""
    assert where(tmp_path, code) == BUNDLE


def test_certifi_in_the_code_folder(tmp_path: Path) -> None:
    """A certifi that is deployed with the function is changed in the same way."""
    (tmp_path / "certifi").mkdir()
    (tmp_path / "certifi" / "__init__.py").write_text("OWN = 1\ndef where(): return 'own'")
    code = "import certifi; result = [certifi.OWN, certifi.where()]"
    assert where(tmp_path, code) == [1, BUNDLE]


def test_certifi_is_missing(tmp_path: Path) -> None:
    """Without certifi, importing it fails as usual, and so do modules that cannot be loaded."""
    code = (
        "sys.path[:] = []\ntry: import certifi\n"
        "except ModuleNotFoundError as error: result = error.name"
    )
    assert where(tmp_path, code) == "certifi"
    (tmp_path / "certifi.py").write_text("1 / 0")
    code = "try: import certifi\nexcept ZeroDivisionError: result = 'certifi' in sys.modules"
    assert where(tmp_path, code) is False


# --- Clients ---

CLIENTS = {
    "COS SDK": (
        "import os, qcloud_cos\nconfig = qcloud_cos.CosConfig(Region='ap-guangzhou', "
        "Anonymous=True, Scheme=url.partition(':')[0])\n"
        "try: qcloud_cos.CosS3Client(config).get_object('inbox-1250000000', 'a')\n"
        "except qcloud_cos.CosServiceError as error: status = error.get_status_code()"
    ),
    "requests": "import requests\nstatus = requests.get(url).status_code",
    "urllib": (
        "import urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(url)\n"
        "except urllib.error.HTTPError as error: status = error.code"
    ),
    "urllib3": (
        "import os, urllib3\nstatus = urllib3.ProxyManager(os.environ['HTTPS_PROXY'], "
        "ca_certs=os.environ['SSL_CERT_FILE']).request('GET', url).status"
    ),
    "httpx": "import httpx\nstatus = httpx.get(url).status_code",
    "httpx async": (
        "import asyncio, httpx\nasync def get():\n    async with httpx.AsyncClient() as client:\n"
        "        return (await client.get(url)).status_code\nstatus = asyncio.run(get())"
    ),
    "aiohttp": (
        "import asyncio, aiohttp\nasync def get():\n"
        "    async with aiohttp.ClientSession(trust_env=True) as client:\n"
        "        return (await client.get(url)).status\nstatus = asyncio.run(get())"
    ),
    "curl": (
        "import subprocess\nstatus = int(subprocess.run(['curl', '-s', '-o', '/dev/null', '-w', "
        "'%{http_code}', url], capture_output=True, check=True).stdout)"
    ),
}
URL = "https://inbox-1250000000.cos.ap-guangzhou.myqcloud.com/a"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("url", [URL, URL.replace("https", "http")])
def test_clients_in_a_function(tmp_path: Path, client: str, url: str) -> None:
    """Each client that docs/any-function.md names reaches COS from a function, as it is."""
    if client == "curl" and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    code = "\n    ".join(CLIENTS[client].splitlines())
    result, log = invoke(
        tmp_path, f"def main(url, context):\n    {code}\n    return [status]", event=url
    )
    assert result == [403], log  # not signed


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_outside(client: str) -> None:
    """The same clients reach a running cloud with nothing but the variables that it prints."""
    if client == "curl" and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with EmulatedCloud() as cloud:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", f"url = {URL!r}\n{CLIENTS[client]}\nprint(status)"],
            env={"PATH": os.environ["PATH"], **cloud.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "403\n", done.stderr


API = """
import os
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
names = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
credential = Credential(*(os.environ[f"TENCENTCLOUD_{name}"] for name in names))
profile = ClientProfile(httpProfile=HttpProfile(PROFILE))
client = CommonClient("cvm", "2017-03-12", credential, "ap-guangzhou", profile)
print(client.call_json("DescribeImages", {})["Response"]["TotalCount"])
"""


@pytest.mark.parametrize(
    ("profile", "works"),
    [
        ('protocol="http"', True),
        ('certification=os.environ["SSL_CERT_FILE"]', True),
        ("", False),
    ],
)
def test_api_sdk_outside(profile: str, works: bool) -> None:  # noqa: FBT001 - a parameter
    """Outside of a function, the API SDK needs one of the two forms that the page names."""
    page = (ROOT / "docs" / "any-function.md").read_text(encoding="utf-8")
    assert f"`HttpProfile({profile})`" in page or not works
    with EmulatedCloud() as cloud:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", API.replace("PROFILE", profile)],
            env=cloud.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout == "0\n") == works
    assert works or "CERTIFICATE_VERIFY_FAILED" in done.stderr


ASYNC = """
import asyncio, os
from tencentcloud.common.credential import Credential
from tencentcloud.cvm.v20170312 import cvm_client_async, models

async def count(*keys):
    async with cvm_client_async.CvmClient(Credential(*keys), "ap-guangzhou") as client:
        return (await client.DescribeImages(models.DescribeImagesRequest())).TotalCount

def main(event, context):
    names = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    return [asyncio.run(count(*(os.environ[f"TENCENTCLOUD_{name}"] for name in names)))]
"""


def test_async_api_sdk_in_a_function(tmp_path: Path) -> None:
    """The asynchronous API SDK works as it is, too."""
    result, log = invoke(tmp_path, ASYNC)
    assert result == [0], log
