"""A server that speaks as much of the Hub's protocol as a publication needs: repositories, Git LFS, commits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_may_write"


class Hub:
    """Repositories by name, each a mapping from paths to contents, replaced at once by a commit. `broken` counts down:
    so many uploads are cut off, `silent` as many
    commits."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.commits = 0
        self.broken = 0
        self.silent = 0
        self.unknown: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, b"")

            def do_POST(self) -> None:
                hub.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        status, said = self._answer(request, body)
        if status == 0:
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        content = json.dumps(said).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        path = request.path.partition("?")[0]
        if found := re.fullmatch(r"/objects/(\w+)", path):
            self.uploads.append(found.group(1))
            if self.broken:
                self.broken -= 1
                return 0, None
            if hashlib.sha256(body).hexdigest() != found.group(1):
                return 400, {"error": "another content"}
            self.objects[found.group(1)] = body
            return 200, {}
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 403, {"error": "this token may not write"}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.repositories:
                return 409, {"error": "it exists", "url": f"{self.address}/datasets/{name}"}
            self.repositories[name] = {}
            return 200, {"url": f"{self.address}/datasets/{name}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if found := re.fullmatch(r"/datasets/(\w+/\w+)\.git/info/lfs/objects/batch", path):
            return 200, {"objects": [self._object(one) for one in json.loads(body)["objects"]]}
        if found := re.fullmatch(r"/api/datasets/(\w+/\w+)(?:/(\w+)/main)?", path):
            return self._of_repository(found.group(1), found.group(2), body)
        self.unknown.append(path)
        return 404, {"error": "not found"}

    def _object(self, one: dict[str, Any]) -> dict[str, Any]:
        upload = {"upload": {"href": f"{self.address}/objects/{one['oid']}", "header": {}}}
        return one if one["oid"] in self.objects else {**one, "actions": upload}

    def _of_repository(self, name: str, what: str | None, body: bytes) -> tuple[int, Any]:
        files = self.repositories.get(name)
        if files is None:
            return 404, {"error": "not found"}
        if what == "preupload":
            asked = json.loads(body)["files"]
            kinds = {True: "lfs", False: "regular"}
            return 200, {
                "files": [
                    {"path": one["path"], "uploadMode": kinds[one["path"].endswith(".parquet")], "shouldIgnore": False}
                    for one in asked
                ]
            }
        if what == "tree":
            return 200, [
                {"type": "file", "path": path, "oid": "0", "size": len(content)} for path, content in files.items()
            ]
        if what == "commit" and self.silent:
            self.silent -= 1
            return 0, None
        if what == "commit":
            new = dict(files)
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    new[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    new[value["path"]] = self.objects[value["oid"]]
                elif line["key"] == "deletedFile":
                    del new[value["path"]]
            self.repositories[name] = new
            self.commits += 1
            return 200, {"commitUrl": f"{self.address}/datasets/{name}/commit/1", "commitOid": f"{self.commits:040d}"}
        siblings = [{"rfilename": path} for path in files]
        return 200, {"id": name, "sha": f"{self.commits:040d}", "siblings": siblings}
