"""A certificate authority of the test session, made with the openssl program."""

import dataclasses
import pathlib
import subprocess

# Servers present theirs to other servers as well, as replicas and on the cluster bus.
SERVER_USAGE = "serverAuth,clientAuth"
CLIENT_USAGE = "clientAuth"
LOOPBACK_NAMES = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
DAYS = "30"
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclasses.dataclass(frozen=True)
class Identity:
    """A certificate and its private key, PEM files."""
    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """A CA with a server and a client certificate.

    ca       file with the CA's certificate
    server   Identity valid for localhost, 127.0.0.1 and ::1
    client   Identity that servers which want client certificates accept
    Another Authority makes certificates that this one's servers and clients refuse."""

    def __init__(self, folder, name="keyferry test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._root = Identity(self.folder / "ca.crt", self.folder / "ca.key")
        self._request(self._root, name, ["-addext", "basicConstraints=critical,CA:TRUE",
                                         "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        self.server = self.issue("server")
        self.client = self.issue("client", names=(), usage=CLIENT_USAGE)

    @property
    def ca(self):
        return self._root.certificate

    def issue(self, name, names=LOOPBACK_NAMES, usage=SERVER_USAGE):
        """A new Identity; `names` are what a server is verified by ("DNS:...", "IP:...")."""
        identity = Identity(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
        if names:
            extensions += ["-addext", "subjectAltName=" + ",".join(names)]
        self._request(identity, name, ["-CA", str(self._root.certificate), "-CAkey", str(self._root.key), *extensions])
        return identity

    def client_options(self, identity):
        """Keyword arguments of redis.Redis() for a client with that certificate."""
        return {"ssl": True, "ssl_ca_certs": str(self.ca), "ssl_certfile": str(identity.certificate),
                "ssl_keyfile": str(identity.key), "ssl_check_hostname": True}

    @staticmethod
    def _request(identity, common_name, arguments):
        # -config /dev/null: the system's openssl.cnf would add its own extensions to these.
        subprocess.run(["openssl", "req", "-x509", "-config", "/dev/null", *NEW_KEY, "-days", DAYS, "-subj", f"/CN={common_name}",
                        "-keyout", str(identity.key), "-out", str(identity.certificate), *arguments],
                       check=True, capture_output=True)
