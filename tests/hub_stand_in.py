"""A stand-in for the HTTP API of the Hugging Face hub, on this machine: what a push and a pull need of it."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

TOKEN = "hf_of_the_stand_in"


@dataclass
class Hub:
    """Repositories, by name: branches with their commits, and files of every commit."""

    address: str = ""
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)

    def commit(self, repository: str, branch: str, files: dict[str, bytes]) -> str:
        before = self.commits.get(self.branches.get(repository, {}).get(branch, ""), {})
        content = {**before, **files}
        listed = repr(sorted((name, hashlib.sha1(data).hexdigest()) for name, data in content.items()))
        sha = hashlib.sha1(listed.encode()).hexdigest()
        self.commits[sha] = content
        self.branches.setdefault(repository, {})[branch] = sha
        return sha

    def resolve(self, repository: str, revision: str) -> str | None:
        sha = self.branches[repository].get(revision, revision)
        return sha if sha in self.commits else None


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, code, message):
        self.answer(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    def may(self, repository):
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository not in self.hub.branches or (self.hub.private.get(repository) and not known):
            self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
            return False
        return True

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            return self.answer(
                200 if known else 401, {"name": "user"} if known else {"error": "Invalid token"}
            )
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            return self.describe(found[1], found[2] or "main")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            return self.listing(found[1], found[2])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.file(*found.groups())
        return self.refuse(404, "EntryNotFound", path)

    do_HEAD = do_GET  # noqa: N815 - the name in http.server

    def describe(self, repository, revision):
        if not self.may(repository):
            return None
        sha = self.hub.resolve(repository, revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        names = [{"rfilename": name} for name in sorted(self.hub.commits[sha])]
        return self.answer(
            200, {"id": repository, "modelId": repository, "sha": sha, "siblings": names, "tags": []}
        )

    def listing(self, repository, revision):
        if self.may(repository):
            files = self.hub.commits[self.hub.resolve(repository, revision)]
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            self.answer(200, entries)

    def file(self, repository, revision, name):
        if not self.may(repository):
            return
        sha = self.hub.resolve(repository, revision)
        data = self.hub.commits[sha][name]
        self.answer(200, data, X_Repo_Commit=sha, ETag=f'"{hashlib.sha1(data).hexdigest()}"')

    def do_POST(self):
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and path != "/api/validate-yaml":
            return self.refuse(401, "", "Invalid username or password.")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'user'}/{asked['name']}"
            if name in self.hub.branches:
                return self.answer(409, {"error": "exists", "url": f"{self.hub.address}/{name}"})
            self.hub.private[name] = bool(asked.get("private", asked.get("visibility") == "private"))
            self.hub.commit(name, "main", {".gitattributes": b""})
            return self.answer(200, {"url": f"{self.hub.address}/{name}", "name": name})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        repository, action, revision = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(\w+)/(.+)", path).groups()
        if not self.may(repository):
            return None
        if action == "branch":
            if revision in self.hub.branches[repository]:
                return self.answer(409, {"error": "exists"})
            self.hub.branches[repository][revision] = self.hub.branches[repository]["main"]
            return self.answer(200, {})
        if action == "preupload":
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        lines = [json.loads(line) for line in body.splitlines()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        sha = self.hub.commit(repository, revision, files)
        address = f"{self.hub.address}/{repository}/commit/{sha}"
        return self.answer(200, {"commitUrl": address, "commitOid": sha, "success": True})


@contextmanager
def served():
    """Serve an empty hub on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(monkeypatch, hub: Hub) -> None:
    """Let huggingface_hub speak to a stand-in, online and with a token that it knows, as by HF_ENDPOINT."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
