"""What an idle connection costs: the growth of a server's resident memory over many connections, each after one call."""
import socket
import time

import bodies

CONNECTIONS = 5000
ACK = bodies.frame(4, 1, 0, b'')


def resident(pid, key='VmRSS'):
    with open(f'/proc/{pid}/status') as f:
        for line in f:
            if line.startswith(key + ':'):
                return int(line.split()[1]) * 1024
    raise SystemExit(f'process {pid} has no {key}')


def take_http2(s):
    """Reads to the end of stream 1. Returns whether it was an answer, and not a reset or GOAWAY."""
    have = b''
    while True:
        while len(have) >= 9:
            size = int.from_bytes(have[:3], 'big')
            if len(have) < 9 + size:
                break
            kind, flags, stream = have[3], have[4], int.from_bytes(have[5:9], 'big')
            have = have[9 + size:]
            if kind in (3, 7):
                return False
            if kind in (0, 1) and flags & 1 and stream == 1:
                return True
        more = s.recv(65536)
        if not more:
            return False
        have += more


def take_http1(s):
    have = b''
    while b'\r\n\r\n' not in have:
        more = s.recv(65536)
        if not more:
            return False
        have += more
    head, _, body = have.partition(b'\r\n\r\n')
    length = [line.split(b':')[1] for line in head.lower().split(b'\r\n') if line.startswith(b'content-length:')]
    if not head.startswith(b'HTTP/1.1 200'):
        return False
    if not length:  # chunked
        while not body.endswith(b'0\r\n\r\n'):
            more = s.recv(65536)
            if not more:
                return False
            body += more
        return True
    while len(body) < int(length[0]):
        body += s.recv(65536)
    return True


def measure(server, http1, message):
    """Bytes a connection, or a sentence why not."""
    path = '/bench.v1.Echo/Echo'
    call = bodies.http1_call(path, message) if http1 else bodies.http2_call(path, message)
    take = take_http1 if http1 else take_http2
    held = []

    def one():
        s = socket.create_connection(('127.0.0.1', server.port), timeout=20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        held.append(s)
        s.sendall(call)
        if not take(s):
            return False
        if not http1:
            s.sendall(ACK)
        return True

    try:
        for _ in range(16):  # what a server sets up once
            if not one():
                return 'a call was not answered'
        time.sleep(0.3)
        before, already = resident(server.pid), len(held)
        for i in range(CONNECTIONS):
            if not one():
                return f'connection {i} was not answered'
        time.sleep(1.0)
        return (resident(server.pid) - before) / (len(held) - already)
    except OSError as e:
        return str(e)
    finally:
        for s in held:
            s.close()
