#!/usr/bin/env python3
"""Reads decoded messages from memory, with ctypes and struct alone, after docs/layout.md.

    layout_test.py LIBZCRPC PROTOC PROTO_DIR

libzcrpc reads the schema, tells where fields lie, and writes the index; every value is then read here.
"""
import ctypes
import struct
import subprocess
import sys
import tempfile

KINDS = {1: ('d', 8), 2: ('f', 4), 3: ('q', 8), 4: ('Q', 8), 5: ('i', 4), 6: ('Q', 8), 7: ('I', 4), 8: ('B', 1), 13: ('I', 4),
         14: ('i', 4), 15: ('i', 4), 16: ('q', 8), 17: ('i', 4), 18: ('q', 8)}
STRING, GROUP, MESSAGE, BYTES = 9, 10, 11, 12
NO_BIT, ELSEWHERE = 0xFFFF, 0x80000000
SPARSE, EXTENDABLE = 1, 8


class TypeInfo(ctypes.Structure):
    _fields_ = [('struct_size', ctypes.c_uint32), ('type_no', ctypes.c_uint32), ('fingerprint', ctypes.c_uint64),
                ('name', ctypes.c_char_p), ('field_count', ctypes.c_uint32), ('size', ctypes.c_uint32),
                ('extension_slot', ctypes.c_uint32), ('flags', ctypes.c_uint32)]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        for name in ('zcrpc_schema_new', 'zcrpc_schema_type', 'zcrpc_schema_type_at'):
            getattr(self.c, name).restype = ctypes.c_void_p
        self.c.zcrpc_type_layout.restype = ctypes.c_size_t
        self.c.zcrpc_error_message.restype = ctypes.c_char_p

    def schema(self, descriptors):
        err = ctypes.c_void_p()
        s = self.c.zcrpc_schema_new(descriptors, ctypes.c_size_t(len(descriptors)), ctypes.byref(err))
        assert s, self.c.zcrpc_error_message(err)
        return ctypes.c_void_p(s)

    def index(self, type_, data):
        """The index of data, as bytes."""
        size, err = ctypes.c_size_t(), ctypes.c_void_p()
        length = ctypes.c_size_t(len(data))
        code = self.c.zcrpc_view_index(type_, data, length, None, None, ctypes.c_size_t(0), ctypes.byref(size), None)
        assert code == 101, code  # ZCRPC_TOO_SMALL, and how many bytes are needed
        words = (ctypes.c_uint64 * (size.value // 8))()
        code = self.c.zcrpc_view_index(type_, data, length, None, words, ctypes.c_size_t(size.value), ctypes.byref(size), ctypes.byref(err))
        assert code == 0, self.c.zcrpc_error_message(err)
        assert size.value == len(words) * 8
        return bytes(words)


class Field:
    def __init__(self, row):
        (self.number, self.offset, self.type_no, self.oneof, self.stride, self.bit, self.kind, self.shape) = row
        self.message = self.kind in (GROUP, MESSAGE)


class Type:
    """What the library tells of one message type."""

    def __init__(self, library, handle):
        handle = ctypes.c_void_p(handle)
        info = TypeInfo(struct_size=ctypes.sizeof(TypeInfo))
        library.c.zcrpc_type_get_info(handle, ctypes.byref(info))
        rows = ctypes.create_string_buffer(24 * info.field_count)
        size = ctypes.c_uint32()
        count = library.c.zcrpc_type_layout(handle, rows, ctypes.c_size_t(info.field_count), ctypes.byref(size))
        assert count == info.field_count and size.value == info.size
        self.fields = [Field(r) for r in struct.iter_unpack('=IIIIIHBB', rows.raw[:24 * count])]
        self.name, self.size, self.flags, self.extension_slot = info.name.decode(), info.size, info.flags, info.extension_slot
        self.fingerprint = info.fingerprint
        self.sparse = bool(info.flags & SPARSE)


class Reader:
    def __init__(self, types, data, index):
        self.types, self.data, self.at = types, data, index
        head = struct.unpack_from('=10IQ', index)
        (magic, layout, size, self.root, input_len, flags, unknown, unknown_count, pieces, piece_count, fingerprint) = head
        assert magic == 0x315A435A and layout == 1 and size == len(index) and input_len == len(data) and flags == 0
        self.unknown = [struct.unpack_from('=4I', index, unknown + 16 * i) for i in range(unknown_count)]
        self.pieces = [struct.unpack_from('=4I', index, pieces + 16 * i) for i in range(piece_count)]
        assert self.unknown == sorted(self.unknown, key=lambda r: (r[0], r[2]))
        assert types[self.u32(self.root + 8) & 0xFFFFFF].fingerprint == fingerprint

    def u32(self, at):
        return struct.unpack_from('=I', self.at, at)[0]

    def bit(self, m, bit):
        return self.u32(m + 12 + 4 * (bit // 32)) >> (bit % 32) & 1

    def slot(self, t, m, bit, offset):
        """Where the slot lies; None: in a sparse message, there is none."""
        if not t.sparse:
            return m + offset
        if not self.bit(m, bit):
            return None
        return m + t.size + 8 * sum(self.bit(m, b) for b in range(bit))

    def value(self, f, at):
        """A single value in a slot or an array of the index."""
        if f.message:
            offset = self.u32(at)
            return self.message(offset) if offset else None
        if f.kind in (STRING, BYTES):
            offset, n = struct.unpack_from('=II', self.at, at)
            return self.data[offset:offset + n]
        v = struct.unpack_from('=' + KINDS[f.kind][0], self.at, at)[0]
        return bool(v) if f.kind == 8 else v

    def array(self, f, at):
        offset, n = struct.unpack_from('=II', self.at, at)
        if f.shape == 2:
            entry = self.types[f.type_no]
            key, value = entry.fields
            assert f.stride == entry.size
            return {self.value(key, e + key.offset): self.value(value, e + value.offset)
                    for e in range(offset, offset + n * f.stride, f.stride)}
        if offset & ELSEWHERE:
            offset &= ~ELSEWHERE
            code, width = KINDS[f.kind]
            assert width == f.stride
            return list(struct.unpack_from('<%d%s' % (n, code), self.data, offset))
        places = range(offset, offset + n * f.stride, f.stride)
        if f.message and not self.types[f.type_no].sparse:
            return [self.message(p) for p in places]
        return [self.value(f, p) for p in places]

    def message(self, m):
        """All that is set, by field number; unknown fields under 0."""
        assert self.u32(m) == m
        word = self.u32(m + 8)
        t = self.types[word & 0xFFFFFF]
        out = {}
        for i, f in enumerate(t.fields):
            at = self.slot(t, m, i, f.offset)
            if at is None:
                continue
            if f.shape:
                v = self.array(f, at)
                if not v:
                    continue
            elif f.oneof and self.u32(m + f.oneof) != f.number:
                continue
            elif not t.sparse and f.bit != NO_BIT and not self.bit(m, f.bit):
                continue
            else:
                v = self.value(f, at)
                if v is None or (not v and not f.oneof and f.bit == NO_BIT):
                    continue
            out[f.number] = v
        if t.flags & EXTENDABLE:
            at = self.slot(t, m, len(t.fields), t.extension_slot)
            offset, n = struct.unpack_from('=II', self.at, at) if at is not None else (0, 0)
            for i in range(n):
                out[self.u32(offset + 16 * i)] = struct.unpack_from('=I', self.at, offset + 16 * i + 8)[0]
        rows = [r for r in self.unknown if r[0] == m]
        assert bool(rows) == bool(word & 0x08000000)
        if rows:
            out[0] = [(number, self.data[at:at + n]) for _, number, at, n in rows]
        parts = [r for r in self.pieces if r[0] == m]
        assert bool(parts) == bool(word & 0x04000000)
        if parts:
            out[-1] = [self.data[at:at + n] for _, _, at, n in parts]
        return out


def varint(v):
    v &= (1 << 64) - 1
    out = b''
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def num(n, v):
    return varint(n << 3) + varint(v)


def text(n, payload):
    return varint(n << 3 | 2) + varint(len(payload)) + payload


def fixed(n, code, v):
    return varint(n << 3 | (1 if struct.calcsize(code) == 8 else 5)) + struct.pack('<' + code, v)


def scalars(base):
    """Every kind, as fields base to base + 14 of the test protos; the bytes, and what they mean."""
    data = (fixed(base, 'd', 1.5) + fixed(base + 1, 'f', -0.25) + num(base + 2, -3) + num(base + 3, 2**63) + num(base + 4, -5) +
            fixed(base + 5, 'Q', 6) + fixed(base + 6, 'I', 7) + num(base + 7, 1) + text(base + 8, 'h\u00e9'.encode()) +
            text(base + 9, b'\xff\0') + num(base + 10, 11) + fixed(base + 11, 'i', -12) + fixed(base + 12, 'q', -13) +
            num(base + 13, 27) + num(base + 14, 29))
    values = [1.5, -0.25, -3, 2**63, -5, 6, 7, True, 'h\u00e9'.encode(), b'\xff\0', 11, -12, -13, -14, -15]
    return data, {base + i: v for i, v in enumerate(values)}


def cases():
    for package in ('two', 'three'):
        data, want = scalars(1)
        yield package + '.Singles', data + num(16, 2) + num(17, 10), want | {16: 2, 17: 10}
        zeros = num(3, 0) + text(9, b'')
        yield package + '.Singles', zeros, {3: 0, 9: b''} if package == 'two' else {}
        yield package + '.Wide', data, want
        inner = num(1, 3) + text(4, b'in')
        yield package + '.Tree', text(2, inner) + text(3, inner) + text(3, b'') + text(8, text(1, b'k') + text(2, inner)), {
            2: {1: 3, 4: b'in'}, 3: [{1: 3, 4: b'in'}, {}], 8: {b'k': {1: 3, 4: b'in'}}}
        yield package + '.Tree', text(6, data) + text(7, num(3, 1)) + text(7, text(9, b'x')) + text(9, num(1, 4) + text(2, data)), {
            6: want, 7: [{3: 1}, {9: b'x'}], 9: {4: want}}
        yield package + '.Packs', text(1, struct.pack('<2d', 1, 2)) + text(7, struct.pack('<3I', 1, 2, 3)) + text(3, b'\x01\x80\x01\x02'), {
            1: [1.0, 2.0], 7: [1, 2, 3], 3: [1, 128, 2]}
        yield package + '.Lists', num(5, 1) + num(5, -1) + text(9, b'a') + text(9, b'') + text(8, b'\x01\0'), {
            5: [1, -1], 9: [b'a', b''], 8: [True, False]}
        yield package + '.Oneofs', num(1, 5) + num(21, 0) + num(30, 9), {1: 5, 21: False, 30: 9}
        yield package + '.Oneofs', num(1, 5) + text(8, num(3, 7)), {8: {3: 7}}
        yield package + '.Mix', (text(1, text(1, b'b') + text(2, b'1')) + text(1, text(1, b'a') + text(2, b'2')) +
                                 text(1, text(1, b'b') + text(2, b'3')) + text(3, num(1, -1) + num(2, 8)) +
                                 text(4, num(1, 2) + fixed(2, 'd', 0.5)) + text(5, num(1, 3) + num(2, 1)) + text(13, num(1, 1))), {
            1: {b'b': b'3', b'a': b'2'}, 3: {-1: 8}, 4: {2: 0.5}, 5: {3: True}, 13: {True: False}}
        yield package + '.Tree', num(1, 1) + num(90, 2) + num(91, 3) + text(2, num(1, 4)) + text(2, text(4, b'z') + num(92, 5)), {
            1: 1, 0: [(0, num(90, 2) + num(91, 3))], 2: {1: 4, 4: b'z', 0: [(0, num(92, 5))], -1: [num(1, 4), text(4, b'z') + num(92, 5)]}}
    yield 'two.Tree', varint(10 << 3 | 3) + num(1, 6) + varint(10 << 3 | 4) + num(100, 77), {10: {1: 6}, 100: 77}
    yield 'two.Wide', num(1000, 5) + num(4, 1), {4: 1, 1000: 5}
    yield 'two.Packs', text(17, b'\x01\x05\x0a'), {17: [1, 10], 0: [(17, b'\x05')]}


def example(library, protoc):
    """The worked example of docs/layout.md, byte for byte."""
    with tempfile.TemporaryDirectory() as d:
        with open(d + '/a.proto', 'w') as f:
            f.write('syntax = "proto3"; message Source { string file = 1; uint32 line = 2; }\n'
                    'message Record { uint64 time = 1; string text = 2; Source source = 3; repeated int32 codes = 4; }')
        subprocess.run([protoc, '-I' + d, '--descriptor_set_out=' + d + '/set', 'a.proto'], check=True)
        with open(d + '/set', 'rb') as f:
            schema = library.schema(f.read())
    data = bytes.fromhex('0807 12026869 1a07 0a03612e63 102a 22020105')
    index = library.index(ctypes.c_void_p(library.c.zcrpc_schema_type(schema, b'Record')), data)
    library.c.zcrpc_schema_release(schema)
    rows = ['%3d  %s' % (at, ' '.join(index[i:i + 4].hex() for i in range(at, min(at + 16, len(index)), 4))) for at in range(0, len(index), 16)]
    return '\n'.join(rows)


def main():
    library = Library(sys.argv[1])
    if sys.argv[3] == 'example':
        print(example(library, sys.argv[2]))
        return
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run([sys.argv[2], '-I' + sys.argv[3], '--include_imports', '--descriptor_set_out=' + f.name,
                        'view_two.proto', 'view_three.proto'], check=True)
        schema = library.schema(f.read())
    types = []
    while True:
        handle = library.c.zcrpc_schema_type_at(schema, ctypes.c_size_t(len(types)))
        if not handle:
            break
        types.append(Type(library, handle))
    count = 0
    for name, data, want in cases():
        handle = ctypes.c_void_p(library.c.zcrpc_schema_type(schema, b'viewtest.' + name.encode()))
        reader = Reader(types, data, library.index(handle, data))
        got = reader.message(reader.root)
        assert got == want, '%s: %s\nread %s\nnot  %s' % (name, data.hex(), got, want)
        count += 1
    library.c.zcrpc_schema_release(schema)
    page = open(sys.argv[4], encoding='utf-8').read()
    if sys.byteorder == 'little':
        for row in example(library, sys.argv[2]).splitlines():
            numbers = row.split('  ', 1)[1]
            assert numbers in page, 'docs/layout.md lacks the row ' + row
    print('%d messages of %d types read from memory' % (count, len(types)))


main()
