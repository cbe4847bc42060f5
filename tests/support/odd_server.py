#!/usr/bin/env python3
"""An HTTP/1.1 server that misbehaves on request: the client's tests say how in the header x-odd. By default it answers a
Connect call with the request's own message, and tells in headers what it saw.

Prints "listening PORT" (or the path given as argument for a local socket), and ends when its stdin does.
"""
import base64
import gzip
import json
import os
import socket
import struct
import sys
import threading
import time
import urllib.parse

lock = threading.Lock()
counts = {'connections': 0, 'requests': 0}


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def message(text):
    return b'\x0a' + varint(len(text)) + text


class Closed(Exception):
    pass


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.buffer, self.served = sock, number, b'', 0

    def more(self):
        got = self.sock.recv(1 << 16)
        if not got:
            raise Closed
        self.buffer += got

    def request(self):
        while b'\r\n\r\n' not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        method, target, _ = lines[0].split(' ')
        headers = {}
        for line in lines[1:]:
            name, value = line.split(':', 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        headers = {k: ', '.join(v) for k, v in headers.items()}
        size = int(headers.get('content-length', 0))
        while len(self.buffer) < size:
            self.more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return method, target, headers, body

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, body, status='200 OK', kind='application/proto', headers=(), length=None, chunks=0):
        lines = [f'HTTP/1.1 {status}']
        if kind:
            lines.append(f'Content-Type: {kind}')
        lines += headers
        if chunks:
            lines.append('Transfer-Encoding: chunked')
        elif length != 'none':
            lines.append(f'Content-Length: {len(body) if length is None else length}')
        self.send('\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n')
        if not chunks:
            return self.send(body)
        for i in range(0, len(body), chunks):
            piece = body[i:i + chunks]
            self.send(b'%x\r\n%s\r\n' % (len(piece), piece))
        self.send(b'0\r\n\r\n')

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raise Closed

    def wait_for_close(self):
        """Until the client goes away; then says so in a file, for the tests of cancel and deadline."""
        self.sock.settimeout(20)
        try:
            while self.sock.recv(4096):
                pass
        except OSError:
            pass
        raise Closed

    def serve(self):
        method, target, headers, body = self.request()
        with lock:
            counts['requests'] += 1
            seen = dict(counts)
        self.served += 1
        path, _, query = target.partition('?')
        if method == 'GET':
            query = urllib.parse.parse_qs(query)
            body = query['message'][0]
            if query.get('base64') == ['1']:
                body = base64.urlsafe_b64decode(body + '=' * (-len(body) % 4))
            else:
                body = body.encode()
            encoding = query.get('compression', [''])[0]
        else:
            encoding = headers.get('content-encoding', '')
        if encoding == 'gzip':
            body = gzip.decompress(body)
        kind = headers.get('content-type') or 'application/' + query['encoding'][0]
        told = [f'x-seen-method: {method}', f'x-seen-path: {path}', f'x-seen-target: {target[:200]}', f'x-seen-encoding: {encoding}',
                f'x-requests: {seen["requests"]}', f'x-connections: {seen["connections"]}', f'x-connection: {self.number}',
                'Trailer-X-End: yes', 'trailer-x-bin: AAH/', 'X-Bin: AQI=']
        for name in ('user-agent', 'connect-protocol-version', 'connect-timeout-ms', 'accept-encoding', 'expect', 'host', 'x-mine',
                     'x-mine-bin', 'content-type', 'accept', 'content-length'):
            if name in headers:
                told.append(f'x-seen-{name}: {headers[name]}')
        getattr(self, 'odd_' + headers.get('x-odd', 'echo').replace('-', '_'))(body, kind, told, headers)

    def odd_echo(self, body, kind, told, headers):
        self.answer(body, kind=kind, headers=told)

    def odd_chunked(self, body, kind, told, headers):
        self.answer(body, kind=kind, headers=told, chunks=7)

    def odd_until_close(self, body, kind, told, headers):
        self.answer(body, kind=kind, headers=told + ['Connection: close'], length='none')
        raise Closed

    def odd_silent(self, body, kind, told, headers):
        self.wait_for_close()

    def odd_slow_head(self, body, kind, told, headers):
        time.sleep(0.3)
        self.answer(body, kind=kind, headers=told)

    def odd_slow_body(self, body, kind, told, headers):
        self.answer(message(b'x' * 10), kind=kind, length=1000)
        self.wait_for_close()

    def odd_truncated(self, body, kind, told, headers):
        self.answer(message(b'x' * 10), kind=kind, length=1000)
        raise Closed

    def odd_truncated_chunks(self, body, kind, told, headers):
        self.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x0a\x02ab\r\n')
        raise Closed

    def odd_no_answer(self, body, kind, told, headers):
        raise Closed

    def odd_no_answer_second(self, body, kind, told, headers):
        if self.served > 1:
            raise Closed
        self.answer(body, kind=kind, headers=told)

    def odd_reset(self, body, kind, told, headers):
        self.reset()

    def odd_garbage(self, body, kind, told, headers):
        self.send(b'\x16\x03\x01 this is not HTTP at all\r\n\r\n')
        raise Closed

    def odd_html(self, body, kind, told, headers):
        self.answer(b'<html>', kind='text/html')

    def odd_other_codec(self, body, kind, told, headers):
        self.answer(b'{}', kind='application/json' if 'proto' in kind else 'application/proto')

    def odd_no_type(self, body, kind, told, headers):
        self.answer(body, kind='')

    def odd_status(self, body, kind, told, headers):
        self.answer(b'no luck', status=headers['x-status'] + ' Odd', kind='text/plain')

    def odd_bad_message(self, body, kind, told, headers):
        self.answer(b'\x0a\x7f', kind=kind)

    def odd_error(self, body, kind, told, headers):
        detail = {'type': 'p.M', 'value': base64.b64encode(message(b'why')).decode().rstrip('='), 'debug': {'text': 'why'}}
        text = json.dumps({'code': 'not_found', 'message': 'no such \u00fc', 'details': [detail]}).encode()
        more = told
        if headers.get('x-gzip'):
            text, more = gzip.compress(text), told + ['Content-Encoding: gzip']
        self.answer(text, status='404 Not Found', kind='application/json', headers=more)

    def odd_error_without_code(self, body, kind, told, headers):
        self.answer(b'{"message":"hm"}', status='503 Odd', kind='application/json')

    def odd_broken_error(self, body, kind, told, headers):
        self.answer(b'{"code":', status='429 Odd', kind='application/json')

    def odd_gzip(self, body, kind, told, headers):
        self.answer(gzip.compress(body), kind=kind, headers=told + ['Content-Encoding: gzip'])

    def odd_gzip_cut(self, body, kind, told, headers):
        self.answer(gzip.compress(message(b'x' * 1000))[:-9], kind=kind, headers=['Content-Encoding: gzip'])

    def odd_gzip_bomb(self, body, kind, told, headers):
        self.answer(gzip.compress(message(b'\0' * (64 << 20))), kind=kind, headers=['Content-Encoding: gzip'])

    def odd_unknown_encoding(self, body, kind, told, headers):
        self.answer(b'abc', kind=kind, headers=['Content-Encoding: rot13'])

    def odd_big(self, body, kind, told, headers):
        self.answer(message(b'y' * int(headers['x-size'])), kind=kind, headers=told, chunks=int(headers.get('x-chunks', 0)))

    def odd_endless(self, body, kind, told, headers):
        self.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\n\r\n')
        piece = b'10000\r\n' + b'z' * 65536 + b'\r\n'
        while True:
            self.send(piece)

    def odd_interim(self, body, kind, told, headers):
        self.send(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n')
        self.answer(body, kind=kind, headers=told)

    def odd_many_headers(self, body, kind, told, headers):
        self.answer(body, kind=kind, headers=[f'x-{i}: ' + 'v' * 100 for i in range(400)])

    def odd_trailing(self, body, kind, told, headers):
        """HTTP trailers behind the last chunk: they mean nothing to a unary call."""
        self.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\nTrailer: content-type\r\n\r\n')
        self.send(b'%x\r\n%s\r\n0\r\ncontent-type: text/html\r\ngrpc-status: 13\r\n\r\n' % (len(body), body))

    def run(self):
        try:
            while True:
                self.serve()
        except (Closed, OSError):
            pass
        finally:
            self.sock.close()


def main():
    if len(sys.argv) > 1:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[1])
    else:
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
    listener.listen(128)
    print('listening', sys.argv[1] if len(sys.argv) > 1 else listener.getsockname()[1], flush=True)

    def accept():
        while True:
            sock, _ = listener.accept()
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with lock:
                counts['connections'] += 1
                number = counts['connections']
            threading.Thread(target=Connection(sock, number).run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
