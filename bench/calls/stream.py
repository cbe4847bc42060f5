"""1 GiB in messages of 1 MiB, against a plain loop of writev and read over the same loopback."""
import subprocess

import bodies
import idle
import load
import peers

SIZE, BLOCK = 1 << 30, 1 << 20
GOAL = 0.85  # of the plain loop's speed


class Shape:
    name, kind, http1, message = 'stream', 'grpc', False, 'stream'


def read(tool, arguments):
    done = subprocess.run(['taskset', '-c', '1', tool] + arguments, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f'{tool} {" ".join(arguments)}: the stream did not end as it should')
    count, seconds = done.stdout.split()
    return int(count), float(seconds)


def measure(root, scratch, ours, rounds):
    """Bytes a second of both, the best of the rounds, and how far our server's memory rose over the stream."""
    tool = peers.plain_tool(root, scratch, 'stream')
    request = bodies.fetch(scratch, SIZE, BLOCK)
    plain = peers.Peer('plain', scratch, [tool, 'serve', str(SIZE), str(BLOCK)])
    best, grown = {'ours': 0.0, 'plain': 0.0}, 0
    for _ in range(rounds):
        for name, peer, how in (('plain', plain, ['plain']), ('ours', ours, ['http2'])):
            server = load.Server(peer, Shape)
            try:
                before = idle.resident(server.pid)
                count, seconds = read(tool, how + [str(server.port)] + ([request] if name == 'ours' else []))
                if name == 'ours':
                    grown = max(grown, idle.resident(server.pid, 'VmHWM') - before)
            finally:
                server.stop()
            if count < SIZE:
                raise SystemExit(f'{name}: the stream brought {count} bytes')
            best[name] = max(best[name], count / seconds)
    print(f'stream of 1 GiB: ours {best["ours"] / 1e9:.2f} GB/s, plain loop {best["plain"] / 1e9:.2f} GB/s, '
          f'{best["ours"] / best["plain"]:.2f} of it; memory rose by {grown / 1e6:.1f} MB', flush=True)
    return best['ours'], best['plain'], grown
