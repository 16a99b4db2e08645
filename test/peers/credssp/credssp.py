"""CredSSP by MIT Kerberos' SPNEGO and gss-ntlmssp, over TLS: an independent judge of both our roles.

As a client:  credssp.py client PORT MECH USER DOMAIN [BINDINGS]   the password comes on standard input
As a server:  credssp.py server CERTIFICATE KEY VERSION            prints its port; accounts are in $NTLM_USER_FILE

MECH is `spnego` or `ntlm`; BINDINGS is `none`, `right` (the default) or `wrong`. One login, then it prints one line:
`done`, `done USER DOMAIN PASSWORD` for what was delegated, or `refused WHY`.
"""
import hashlib
import os
import socket
import ssl
import sys

import gssapi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MECHS = {"spnego": gssapi.OID.from_int_seq("1.3.6.1.5.5.2"), "ntlm": gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")}
UP, DOWN = b"CredSSP Client-To-Server Binding Hash\0", b"CredSSP Server-To-Client Binding Hash\0"


class Refused(Exception):
    pass


def der(tag, *content):
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    count = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | count]) + size.to_bytes(count, "big") + body


def elements(body):
    found = []
    while body:
        size, at = body[1], 2
        if size & 0x80:
            at = 2 + (size & 0x7F)
            size = int.from_bytes(body[2:at], "big")
        found.append((body[0], body[at:at + size]))
        body = body[at + size:]
    return found


def request(version, token=None, auth=None, key=None, error=None, nonce=None):
    octets = lambda n, value: b"" if value is None else der(0xA0 + n, der(4, value))
    fields = [der(0xA0, der(2, bytes([version])))]
    if token is not None:
        fields.append(der(0xA1, der(0x30, der(0x30, der(0xA0, der(4, token))))))
    fields += [octets(2, auth), octets(3, key)]
    if error is not None:
        fields.append(der(0xA4, der(2, error.to_bytes(4, "big"))))
    return der(0x30, *fields, octets(5, nonce))


def receive(tls):
    data = b""
    while True:
        if len(data) >= 2:
            more = data[1] & 0x7F if data[1] & 0x80 else 0
            if len(data) >= 2 + more:
                size = int.from_bytes(data[2:2 + more], "big") if more else data[1]
                if len(data) == 2 + more + size:
                    break
        part = tls.recv(1)
        if not part:
            raise Refused("closed")
        data += part
    fields = {tag - 0xA0: value for tag, value in elements(elements(data)[0][1])}
    if 4 in fields:
        raise Refused("0x%08x" % (int.from_bytes(elements(fields[4])[0][1], "big") & 0xFFFFFFFF))
    read = lambda n: elements(fields[n])[0][1] if n in fields else None
    token = None
    if 1 in fields:
        token = elements(elements(elements(elements(fields[1])[0][1])[0][1])[0][1])[0][1]
    return {"version": int.from_bytes(read(0), "big"), "token": token, "auth": read(2), "key": read(3), "nonce": read(5)}


def public_key(certificate):
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def binding(version, words, nonce, key):
    if version >= 5:
        return hashlib.sha256(words + nonce + key).digest()
    return key if words is UP else bytes([(key[0] + 1) & 0xFF]) + key[1:]


def bindings(certificate, kind):
    if kind == "none":
        return None
    digest = hashlib.sha256(certificate if kind == "right" else certificate + b"x").digest()
    return gssapi.raw.ChannelBindings(application_data=b"tls-server-end-point:" + digest)


def client(port, mech, user, domain, kind="right"):
    password = sys.stdin.buffer.read()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))))
    certificate = tls.getpeercert(binary_form=True)
    key = public_key(certificate)
    name = gssapi.Name("%s\\%s" % (domain, user) if domain else user, gssapi.NameType.user)
    # SPNEGO takes what credentials its mechanisms have; Kerberos has none here
    acquired = gssapi.raw.acquire_cred_with_password(name, password, usage="initiate", mechs=[MECHS[mech]])
    wanted = gssapi.RequirementFlag
    login = gssapi.SecurityContext(
        name=gssapi.Name("TERMSRV@gate.example", gssapi.NameType.hostbased_service),
        creds=gssapi.Credentials(acquired.creds),
        mech=MECHS[mech],
        flags=wanted.mutual_authentication | wanted.confidentiality | wanted.integrity | wanted.replay_detection | wanted.out_of_sequence_detection,
        usage="initiate",
        channel_bindings=bindings(certificate, kind),
    )
    token, answer, pending = login.step(), None, None
    while not login.complete:
        tls.sendall(request(6, token=token))
        answer = receive(tls)
        token = login.step(answer["token"])
    version = min(6, answer["version"])
    nonce = os.urandom(32)
    tls.sendall(request(6, token=token, key=login.wrap(binding(version, UP, nonce, key), True).message, nonce=nonce))
    answer = receive(tls)
    if login.unwrap(answer["key"]).message != binding(version, DOWN, nonce, key):
        raise Refused("public key")
    text = lambda n, value: der(0xA0 + n, der(4, value.encode("utf-16-le")))
    creds = der(0x30, text(0, domain), text(1, user), text(2, password.decode()))
    auth = der(0x30, der(0xA0, der(2, b"\1")), der(0xA1, der(4, creds)))
    tls.sendall(request(6, auth=login.wrap(auth, True).message))
    # the other side has read it all once it ends the connection
    tls.settimeout(30)
    tls.recv(1)
    return "done"


def server(certificate, key_file, version):
    version = int(version)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_file)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    tls = context.wrap_socket(listener.accept()[0], server_side=True)
    shown = ssl.PEM_cert_to_DER_cert(open(certificate).read())
    key = public_key(shown)
    login = gssapi.SecurityContext(
        creds=gssapi.Credentials(usage="accept", mechs=[MECHS["ntlm"]]), usage="accept", channel_bindings=bindings(shown, "right")
    )
    try:
        while not login.complete:
            asked = receive(tls)
            token = login.step(asked["token"])
            if not login.complete:
                tls.sendall(request(version, token=token))
    except gssapi.exceptions.GSSError as error:
        tls.sendall(request(version, error=0xC000006D))
        raise Refused(" ".join(str(error).split()))
    held = min(version, asked["version"])
    if login.unwrap(asked["key"]).message != binding(held, UP, asked["nonce"], key):
        raise Refused("public key")
    tls.sendall(request(version, key=login.wrap(binding(held, DOWN, asked["nonce"], key), True).message))
    auth = login.unwrap(receive(tls)["auth"]).message
    creds = elements(elements(elements(elements(elements(auth)[0][1])[1][1])[0][1])[0][1])
    domain, user, password = (elements(value)[0][1].decode("utf-16-le") for _, value in creds)
    return "done %s %s %s" % (user, domain, password)


try:
    print({"client": client, "server": server}[sys.argv[1]](*sys.argv[2:]))
except Refused as refused:
    print("refused", refused)
