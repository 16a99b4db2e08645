"""A peer of another make for the end-to-end tests: Python's paramiko, logged in once by the factors it is given.

Reads one JSON object from standard input: address, port, user, password or key (a file), known (a host key line),
up (a local file), there (its path on the target). Writes one JSON object: what it saw.
"""

import base64
import hashlib
import json
import sys

import paramiko


def main() -> None:
    asked = json.load(sys.stdin)
    kind, blob = asked["known"].split()[:2]
    host = f"[{asked['address']}]:{asked['port']}"
    client = paramiko.SSHClient()
    key = paramiko.Ed25519Key(data=base64.b64decode(blob))
    client.get_host_keys().add(host, kind, key)
    client.connect(
        asked["address"],
        asked["port"],
        asked["user"],
        password=asked.get("password"),
        key_filename=asked.get("key"),
        allow_agent=False,
        look_for_keys=False,
    )
    _, out, err = client.exec_command("cat; echo words >&2; exit 9")
    out.channel.sendall(b"x" * 100_000)
    out.channel.shutdown_write()
    seen = {"output": len(out.read()), "error": err.read().decode(), "status": out.channel.recv_exit_status()}
    with client.open_sftp() as sftp:
        sftp.put(asked["up"], asked["there"])
        with sftp.open(asked["there"], "rb") as file:
            seen["sha256"] = hashlib.sha256(file.read()).hexdigest()
    client.close()
    print(json.dumps(seen))


main()
