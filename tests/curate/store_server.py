"""A real S3 server on loopback, for tests of inputs and outputs in a store."""

import logging
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def s3_store() -> Iterator[str]:
    """Start the server, point the environment at it, make a bucket, and give its address: `s3://bucket`."""
    import boto3
    import fsspec
    import moto.backends
    from moto.server import ThreadedMotoServer

    # Some thousand requests: a line is written of each, and a folder of 170 services listed, which takes as long as
    # some answers do.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    services = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: iter(services)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    filesystem = fsspec.get_filesystem_class("s3")
    filesystem.clear_instance_cache()
    try:
        # What the server holds lives as long as this process.
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(f"{settings['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
        ).close()
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    finally:
        filesystem.clear_instance_cache()
        server.stop()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
