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
