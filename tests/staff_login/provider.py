"""An OpenID provider that logs everybody in as the user that the test names."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from core.json_types import JsonObject


class Provider:
    """Serves the endpoints of the authorization code flow with PKCE on a free port."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: JsonObject = {"sub": "1", "email": "ada@example.com", "email_verified": True}
        self.token: JsonObject = {}  # what differs from a right token
        self.grants: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                parts = urlsplit(self.path)
                if parts.path == "/authorize":
                    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    provider.grants["code"] = query
                    back = urlencode({"code": "code", "state": query["state"]})
                    self.send_response(302)
                    self.send_header("Location", f"{query['redirect_uri']}?{back}")
                    self.end_headers()
                elif parts.path == "/keys":
                    self.answer(200, {"keys": [provider.public_key()]})
                else:
                    is_right = self.headers["Authorization"] == "Bearer access"
                    self.answer(200 if is_right else 401, provider.claims)

            def do_POST(self) -> None:  # noqa: N802
                length = int(self.headers["Content-Length"])
                form = {
                    name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()
                }
                grant = provider.grants.pop(form["code"], None)
                is_right = grant is not None and form["client_secret"] == "secret of the client"
                if not is_right or challenge_of(form["code_verifier"]) != grant["code_challenge"]:
                    self.answer(400, {"error": "invalid_grant"})
                else:
                    token = provider.id_token(grant["nonce"])
                    self.answer(200, {"access_token": "access", "id_token": token})

            def answer(self, status: int, body: object) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def public_key(self) -> JsonObject:
        described = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**described, "kid": "k1", "alg": "RS256", "use": "sig"}

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        usual = {"iss": self.address, "aud": "segments", "sub": "1", "iat": now, "exp": now + 60}
        payload = {**usual, "nonce": nonce, **self.token}
        return jwt.encode(payload, self.key, algorithm="RS256", headers={"kid": "k1"})

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
