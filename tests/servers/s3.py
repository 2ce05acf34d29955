"""An S3-compatible store on a port of this machine, in memory: for tests that keep content there."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import httpx
from moto.server import ThreadedMotoServer

BUCKET = "attachments"
_VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Run the server, with an empty bucket, and give its address; the usual variables name credentials meanwhile."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with patch.dict(os.environ, _VARIABLES):
            httpx.put(f"http://{host}:{port}/{BUCKET}").raise_for_status()
            yield f"http://{host}:{port}"
    finally:
        server.stop()
