"""Starting a server, sending it requests, and what they cost it."""
import json
import os
import re
import signal
import subprocess

TICKS = os.sysconf('SC_CLK_TCK')


def cpu_seconds(pid):
    """User and system time of a process, all its threads together: the scheduler's nanoseconds where the kernel tells
    them, else clock ticks."""
    try:
        total = 0
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/schedstat') as f:
                total += int(f.read().split()[0])
        if total:
            return total / 1e9
    except OSError:
        pass
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Server:
    """A running peer, pinned to core 0."""

    def __init__(self, peer, work):
        self.peer = peer
        self.process = subprocess.Popen(['taskset', '-c', '0'] + peer.command(work), stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=peer.environment)
        line = self.process.stdout.readline()
        found = re.match(r'listening (\S+):(\d+)', line)
        if not found:
            self.process.kill()
            raise SystemExit(f'{peer.name}: said {line!r} instead of where it listens')
        self.port = int(found.group(2))
        try:
            self.pid = peer.worker(self.process.pid)
        except BaseException:
            self.stop()  # or it would listen for ever
            raise

    def stop(self):
        """Ends it, and returns what it still had to say."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise SystemExit(f'{self.peer.name}: did not end within 15 s of SIGTERM')


def verify(server, work, body, expected):
    """One call with curl: the answer must be right, byte for byte, or the race is not run."""
    version = '--http1.1' if work.http1 else '--http2-prior-knowledge'
    out = f'{server.peer.scratch}/answer'
    # nginx resets a stream without error when it has answered early, which curl 7.88 may take for a failure.
    for _ in range(100 if server.peer.canned else 1):
        if os.path.exists(out):
            os.remove(out)
        head = subprocess.run(['curl', '-sS', '-m', '10', version, '-D', '-', '-o', out, '--data-binary', '@' + body] +
                              work.headers() + [f'http://127.0.0.1:{server.port}{work.path()}'],
                              capture_output=True, text=True, check=False)
        answer = b''
        if os.path.exists(out):
            with open(out, 'rb') as f:
                answer = f.read()
        text = head.stdout.lower()
        good = re.search(r'^http/\S+ 200', text) and answer == expected
        if work.kind == 'grpc' and not server.peer.canned:
            good = good and re.search(r'^grpc-status: 0\s*$', text, re.M)
        if good:
            return
    raise SystemExit(f'{server.peer.name}: {work.name}: wrong answer\n{head.stdout}{head.stderr}{answer[:200]!r}')


def send(server, work, body, count, more=()):
    """Sends count requests; how many were answered with 200, and in how many seconds."""
    out = subprocess.run(['taskset', '-c', '1', 'h2load', '-t1', '-n', str(count)] + work.load + list(more) +
                         ['-d', body] + work.headers() + [f'http://127.0.0.1:{server.port}{work.path()}'],
                         capture_output=True, text=True, timeout=180, check=False).stdout
    good = re.search(r'status codes: (\d+) 2xx', out)
    took = re.search(r'finished in ([\d.]+)(ms|s|us|m)', out)
    if not good or not took or int(good.group(1)) < count:
        raise SystemExit(f'{server.peer.name}: {work.name}: h2load was not answered {count} times\n{out}')
    return int(good.group(1)), float(took.group(1)) * {'us': 1e-6, 'ms': 1e-3, 's': 1, 'm': 60}[took.group(2)]


def latencies(server, work, body, count):
    """p50, p99 and p99.9 in microseconds, as the client saw them at full load."""
    log = f'{server.peer.scratch}/latencies'
    if os.path.exists(log):
        os.remove(log)
    send(server, work, body, count, ['--log-file=' + log])
    with open(log) as f:
        times = sorted(int(line.split('\t')[2]) for line in f)
    os.remove(log)
    return tuple(times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.99, 0.999))


def counters(peer, work, body, expected, results):
    """A run of our own server whose last word is its counters: calls after the 10,000th must allocate and copy nothing.
    The load comes on connections that stay open, since closing and opening is not what is counted."""
    server = Server(peer, work)
    try:
        verify(server, work, body, expected)
        send(server, work, body, 30000 if work.message == 'echo' else 15000)
    finally:
        last = server.stop()
    line = [x for x in last.splitlines() if x.startswith('{')]
    if not line:
        results.failures.append(f'{work.name}: no line of counters from {peer.name}')
        return
    values = results.counters[work.name] = json.loads(line[-1])
    print(f'{work.name}: {line[-1]}', flush=True)
    wrong = []
    if values['allocations'] != 0:
        wrong.append(f'allocations {values["allocations"]}')
    # A request of 22 KB spans two DATA frames: it is joined once. Everything else arrives in one piece.
    most_in = values['calls'] if work.message == 'ingest' else 0
    if values['copies_in'] > most_in:
        wrong.append(f'copies_in {values["copies_in"]}')
    if values['copies_out'] > values['calls']:
        wrong.append(f'copies_out {values["copies_out"]}, calls {values["calls"]}')
    if wrong:
        results.failures.append(f'{work.name}: {", ".join(wrong)}')
