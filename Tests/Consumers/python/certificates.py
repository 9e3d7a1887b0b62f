"""Keys and certificates for tests, made by openssl(1)."""

import subprocess


def openssl(*arguments):
    """What openssl(1) says."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


def new_pair(folder, name, subject, extensions=(), authority=None):
    """A key and a certificate, signed by an authority of ours or by itself; gives the paths of both."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={subject}", "-keyout", key, "-out", certificate]
    for extension in extensions:
        command += ["-addext", extension]
    if authority:
        command += ["-CA", authority[1], "-CAkey", authority[0], "-addext", "basicConstraints=critical,CA:FALSE"]
    openssl(*command)
    for path in (key, certificate):
        path.chmod(0o644)
    return key, certificate
