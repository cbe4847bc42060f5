"""The request bodies, written as wire bytes by hand: an echo and the log batch, bare (Connect) and enveloped (gRPC).

The echo and the batch are those of bench/server/bench.proto. The seed changes the echo's text and number, and the
timestamps of the batch; sizes stay the same.
"""
import random
import string


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def data(field, value):
    value = value if isinstance(value, bytes) else value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def echo(seed):
    r = random.Random(seed)
    return data(1, ''.join(r.choices(string.ascii_letters, k=32))) + number(2, r.randrange(1 << 27, 1 << 28))


def record(i, base):
    labels = b''.join(data(6, data(1, f'label-key-{j}') + data(2, f'label-value-{i}-{j}')) for j in range(6))
    text = (f'Processing request from client {i}: GET /api/v1/users?page={i % 100}&limit=50 '
            f'completed in {42 + i % 200}ms with status 200 OK')
    source = data(1, f'src/handlers/user_{i % 10}.rs') + number(2, 42 + i % 500) + data(3, f'handle_get_users_{i % 5}')
    return (number(1, base + i) + data(2, 'api-gateway') + data(3, f'instance-{i:04x}') + number(4, 2) + data(5, text) +
            labels + data(7, f'{0xDEADBEEF00000000 + i:032x}') + data(8, f'{0xCAFE0000 + i:016x}') + data(9, source))


def batch(seed):
    base = 1_700_000_000_000_000_000 + (seed - 1) * 1000
    return b''.join(data(1, record(i, base)) for i in range(50))


def lengths():
    """The summed lengths of all strings and bytes of the batch, which the summary gives back: see bench.proto."""
    total = 0
    for i in range(50):
        text = (f'Processing request from client {i}: GET /api/v1/users?page={i % 100}&limit=50 '
                f'completed in {42 + i % 200}ms with status 200 OK')
        total += len('api-gateway') + len(f'instance-{i:04x}') + len(text) + 32 + 16
        total += sum(len(f'label-key-{j}') + len(f'label-value-{i}-{j}') for j in range(6))
        total += len(f'src/handlers/user_{i % 10}.rs') + len(f'handle_get_users_{i % 5}')
    return total


def envelope(message):
    return b'\0' + len(message).to_bytes(4, 'big') + message


def literal(name, value):
    """A header field without indexing, neither name nor value compressed (RFC 7541, 6.2.2)."""
    return b'\0' + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def canned(kind, http1, body):
    """What a server that knows the answer beforehand sends: head, body, and trailers where there are any."""
    if http1:
        head = f'HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: {len(body)}\r\n\r\n'
        return [head.encode(), body]
    head = b'\x88' + literal('content-type', 'application/grpc' if kind == 'grpc' else 'application/proto')
    if kind == 'grpc':
        return [head, body, literal('grpc-status', '0')]
    return [head + literal('content-length', str(len(body))), body]


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream.to_bytes(4, 'big') + payload


def http2_call(path, message, window=None):
    """The whole of a connection that asks for one gRPC call: preface, settings, headers, message."""
    settings = b'' if window is None else (4).to_bytes(2, 'big') + window.to_bytes(4, 'big')
    out = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, settings)
    if window is not None:
        out += frame(8, 0, 0, (window - 65535).to_bytes(4, 'big'))
    fields = [(':method', 'POST'), (':scheme', 'http'), (':path', path), (':authority', 'localhost'),
              ('content-type', 'application/grpc'), ('te', 'trailers')]
    out += frame(1, 4, 1, b''.join(literal(*f) for f in fields))
    return out + frame(0, 1, 1, envelope(message))


def http1_call(path, message):
    return (f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/proto\r\n'
            f'Connect-Protocol-Version: 1\r\nContent-Length: {len(message)}\r\n\r\n').encode() + message


def fetch(folder, size, block):
    """The request of a stream of so many bytes, with windows that never shut."""
    path = f'{folder}/fetch.http2'
    with open(path, 'wb') as f:
        f.write(http2_call('/bench.v1.Stream/Fetch', number(1, size) + number(2, block), 0x7fffffff))
    return path


def write(folder, seed):
    """(kind, message) -> (path of the body, the answer that is expected)."""
    out = {}
    summary = number(1, 50) + number(2, lengths()) + number(3, 2)
    for name, message, answer in (('echo', echo(seed), echo(seed)), ('ingest', batch(seed), summary)):
        for kind, wrap in (('connect', lambda m: m), ('grpc', envelope)):
            path = f'{folder}/{name}.{kind}'
            with open(path, 'wb') as f:
                f.write(wrap(message))
            out[kind, name] = (path, wrap(answer))
    return out
