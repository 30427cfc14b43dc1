"""A Hub of one's own: the few endpoints that publishing and loading a model use, over real HTTP."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse


class FakeHub:
    """Repositories by id: their revisions, each with the bytes of its files.

    Attributes:
        repos: Repository id to revision (``main``, ``refs/pr/1``) to file to content.
        commits: Repository id to the commit ids of ``main``, oldest first.
        requests: Method and path of every request, in order.
        tokens: Every Authorization header that came.
    """

    def __init__(self):
        self.repos, self.commits, self.objects, self.requests, self.tokens = {}, {}, {}, [], set()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def head(self, repo):
        return (self.commits.get(repo) or ["0" * 40])[-1]


def blob_id(content):
    """The id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(path):
    """Whether a file goes the way of large files."""
    return path.endswith(".safetensors")


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, status, content=b"", headers=None):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _handle(self):
        hub, address = self.hub, urlparse(self.path)
        path, options = unquote(address.path), parse_qs(address.query)
        hub.requests.append(f"{self.command} {path}")
        hub.tokens.add(self.headers.get("Authorization"))
        body = self._body()
        for method, pattern, act in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method:
                return act(self, options, body, *found.groups())
        return self._reply(404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def create(self, options, body):
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        known = repo in self.hub.repos
        self.hub.repos.setdefault(repo, {"main": {}})
        self._reply(409 if known else 200, {"url": f"{self.hub.endpoint}/{repo}", "name": repo})

    def validate(self, options, body):
        front = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
        errors = [] if front else [{"message": "no metadata"}]
        self._reply(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, options, body, repo, revision):
        known = self.hub.repos[repo].get(revision, {})
        files = []
        for file in json.loads(body)["files"]:
            name, large = file["path"], is_large(file["path"])
            entry = {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if name in known:
                content = known[name]
                entry["oid"] = hashlib.sha256(content).hexdigest() if large else blob_id(content)
            files.append(entry)
        self._reply(200, {"files": files})

    def batch(self, options, body, repo):
        objects = []
        for one in json.loads(body)["objects"]:
            if one["oid"] not in self.hub.objects:
                href = f"{self.hub.endpoint}/objects/{one['oid']}"
                one = {**one, "actions": {"upload": {"href": href, "header": {}}}}
            objects.append(one)
        self._reply(200, {"transfer": "basic", "objects": objects})

    def put(self, options, body, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.objects[oid] = body
        self._reply(200)

    def commit(self, options, body, repo, revision):
        files = dict(self.hub.repos[repo]["main"])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = hashlib.sha1(body).hexdigest()
        is_request = "create_pr" in options
        self.hub.repos[repo]["refs/pr/1" if is_request else "main"] = files
        if not is_request:
            self.hub.commits.setdefault(repo, []).append(oid)
        url = f"{self.hub.endpoint}/{repo}"
        answer = {"commitUrl": f"{url}/commit/{oid}", "commitOid": oid, "success": True}
        self._reply(200, {**answer, "pullRequestUrl": f"{url}/discussions/1"} if is_request else answer)

    def info(self, options, body, repo, revision=None):
        if repo not in self.hub.repos:
            return self._reply(404, {"error": "no such model"}, {"X-Error-Code": "RepoNotFound"})
        files = self.hub.repos[repo]["main"]
        siblings = [{"rfilename": name} for name in sorted(files)]
        names = {"id": repo, "modelId": repo, "sha": self.hub.head(repo)}
        return self._reply(200, {**names, "siblings": siblings})

    def tree(self, options, body, repo, revision, folder=None):
        files = self.hub.repos[repo]["main"]
        prefix = f"{folder.strip('/')}/" if folder else ""
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": blob_id(content)}
            for name, content in sorted(files.items())
            if name.startswith(prefix)
        ]
        if prefix and not entries:
            return self._reply(404, {"error": "no such folder"}, {"X-Error-Code": "EntryNotFound"})
        return self._reply(200, entries)

    def resolve(self, options, body, repo, revision, name):
        files = self.hub.repos.get(repo, {}).get("main")
        commit = {"X-Repo-Commit": self.hub.head(repo)}
        if files is None:
            return self._reply(404, b"", {"X-Error-Code": "RepoNotFound"})
        if name not in files:
            return self._reply(404, b"", {"X-Error-Code": "EntryNotFound", **commit})
        content = files[name]
        return self._reply(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', **commit})


_REPO = r"([^/]+/[^/]+?)"
_ROUTES = [
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate),
    ("POST", rf"/api/models/{_REPO}/preupload/([^/]+)", _Handler.preupload),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/objects/([0-9a-f]{64})", _Handler.put),
    ("POST", rf"/api/models/{_REPO}/commit/([^/]+)", _Handler.commit),
    ("GET", rf"/api/models/{_REPO}", _Handler.info),
    ("GET", rf"/api/models/{_REPO}/revision/([^/]+)", _Handler.info),
    ("GET", rf"/api/models/{_REPO}/tree/([^/]+)(/.*)?", _Handler.tree),
    (("GET", "HEAD"), rf"/{_REPO}/resolve/([^/]+)/(.+)", _Handler.resolve),
]
