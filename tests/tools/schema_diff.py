#!/usr/bin/env python3
"""schema_diff.py ZCRPC PROTOC WORKDIR [BUF]: what zcrpc schema diff says of a table of changes, and, with buf, whether buf
breaking (categories WIRE and WIRE_JSON) agrees. Where it does not, the case tells why ours differs."""
import json
import os
import subprocess
import sys

ZCRPC, PROTOC, WORK = sys.argv[1:4]
BUF = sys.argv[4] if len(sys.argv) > 4 and os.path.exists(sys.argv[4]) else None

P2, P3, ED = 'syntax = "proto2";', 'syntax = "proto3";', 'edition = "2023";'
# name, first line, old, new, what breaks (level and kind), and, if buf says otherwise, at which level it does ('' none)
CASES = [
    ('nothing', P3, 'message M { int32 a = 1; }', 'message M { int32 a = 1; }', [], None),
    ('field_added', P3, 'message M { int32 a = 1; }', 'message M { int32 a = 1; string b = 2; }', [], None),
    ('order_and_comments', P3, 'message M { int32 a = 1; string b = 2; }', 'message M { /* x */ string b = 2; int32 a = 1; }', [], None),
    ('removed', P3, 'message M { int32 a = 1; int32 b = 2; }', 'message M { int32 a = 1; }', [('wire', 'field_removed')], None),
    ('removed_number_reserved', P3, 'message M { int32 a = 1; int32 b = 2; }', 'message M { int32 a = 1; reserved 2; }', [('json', 'field_removed')], None),
    ('removed_both_reserved', P3, 'message M { int32 a = 1; int32 b = 2; }', 'message M { int32 a = 1; reserved 2; reserved "b"; }', [('source', 'field_removed')], None),
    ('int32_int64', P3, 'message M { int32 a = 1; }', 'message M { int64 a = 1; }', [('json', 'type_changed')], None),
    ('int32_uint32', P3, 'message M { int32 a = 1; }', 'message M { uint32 a = 1; }', [('source', 'type_changed')], None),
    ('int64_bool', P3, 'message M { int64 a = 1; }', 'message M { bool a = 1; }', [('json', 'type_changed')], None),
    ('int32_sint32', P3, 'message M { int32 a = 1; }', 'message M { sint32 a = 1; }', [('wire', 'type_changed')], None),
    ('sint32_sint64', P3, 'message M { sint32 a = 1; }', 'message M { sint64 a = 1; }', [('json', 'type_changed')], None),
    ('fixed32_sfixed32', P3, 'message M { fixed32 a = 1; }', 'message M { sfixed32 a = 1; }', [('source', 'type_changed')], None),
    ('fixed32_int32', P3, 'message M { fixed32 a = 1; }', 'message M { int32 a = 1; }', [('wire', 'type_changed')], None),
    ('fixed64_double', P3, 'message M { fixed64 a = 1; }', 'message M { double a = 1; }', [('wire', 'type_changed')], None),
    ('string_bytes', P3, 'message M { string a = 1; }', 'message M { bytes a = 1; }', [('json', 'type_changed')], None),
    ('bytes_string', P3, 'message M { bytes a = 1; }', 'message M { string a = 1; }', [('wire', 'type_changed')], None),
    ('enum_int32', P3, 'message M { E a = 1; } enum E { Z = 0; }', 'message M { int32 a = 1; } enum E { Z = 0; }', [('json', 'type_changed')], 'wire'),
    ('int32_closed_enum', P2, 'message M { optional int32 a = 1; } enum E { Z = 0; }', 'message M { optional E a = 1; } enum E { Z = 0; }', [('wire', 'type_changed')], None),
    ('singular_repeated', P3, 'message M { int32 a = 1; }', 'message M { repeated int32 a = 1; }', [('wire', 'cardinality_changed')], None),
    ('map_entries', P3, 'message M { map<string, int32> a = 1; }',
     'message M { repeated N a = 1; } message N { string key = 1; int32 value = 2; }', [('json', 'cardinality_changed')], 'wire'),
    ('map_value', P3, 'message M { map<string, int32> a = 1; }', 'message M { map<string, string> a = 1; }', [('wire', 'type_changed')], None),
    ('packed', P3, 'message M { repeated int32 a = 1; }', 'message M { repeated int32 a = 1 [packed = false]; }', [], None),
    ('presence', P3, 'message M { int32 a = 1; }', 'message M { optional int32 a = 1; }', [('source', 'presence_changed')], None),
    ('required_added', P2, 'message M { optional int32 a = 1; }', 'message M { required int32 a = 1; }', [('wire', 'required_added')], None),
    ('required_new', P2, 'message M { optional int32 a = 1; }', 'message M { optional int32 a = 1; required int32 b = 2; }', [('wire', 'required_added')], None),
    ('required_removed', P2, 'message M { required int32 a = 1; }', 'message M { optional int32 a = 1; }', [('wire', 'required_removed')], None),
    ('default_changed', P2, 'message M { optional int32 a = 1 [default = 1]; }', 'message M { optional int32 a = 1 [default = 2]; }', [('wire', 'default_changed')], None),
    ('json_name', P3, 'message M { int32 a = 1; }', 'message M { int32 a = 1 [json_name = "b"]; }', [('json', 'json_name_changed')], None),
    ('renamed', P3, 'message M { int32 a = 1; }', 'message M { int32 b = 1; }', [('json', 'json_name_changed')], None),
    ('renamed_same_json', P3, 'message M { int32 a_b = 1; }', 'message M { int32 aB = 1; }', [('json', 'name_changed')], None),
    ('oneof_joined', P3, 'message M { int32 a = 1; int32 b = 2; }', 'message M { oneof o { int32 a = 1; int32 b = 2; } }', [('wire', 'oneof_joined'), ('source', 'oneof_joined')], None),
    ('oneof_alone', P3, 'message M { int32 a = 1; }', 'message M { oneof o { int32 a = 1; string c = 3; } }', [('source', 'oneof_joined')], 'wire'),
    ('oneof_left', P3, 'message M { oneof o { int32 a = 1; int32 b = 2; } }', 'message M { int32 a = 1; int32 b = 2; }', [('wire', 'oneof_left')], None),
    ('oneof_renamed', P3, 'message M { oneof o { int32 a = 1; int32 b = 2; } }', 'message M { oneof p { int32 a = 1; int32 b = 2; } }', [('source', 'oneof_renamed')], 'wire'),
    ('value_removed', P3, 'enum E { Z = 0; A = 1; }', 'enum E { Z = 0; }', [('wire', 'enum_value_removed')], None),
    ('value_removed_reserved', P3, 'enum E { Z = 0; A = 1; }', 'enum E { Z = 0; reserved 1; }', [('json', 'enum_value_removed')], None),
    ('value_renamed', P3, 'enum E { Z = 0; A = 1; }', 'enum E { Z = 0; B = 1; }', [('json', 'enum_value_renamed')], None),
    ('value_renumbered', P3, 'enum E { Z = 0; A = 1; }', 'enum E { Z = 0; A = 2; }', [('wire', 'enum_value_renumbered')], None),
    ('value_added', P3, 'enum E { Z = 0; }', 'enum E { Z = 0; A = 1; }', [], None),
    ('enum_closed', ED, 'enum E { Z = 0; }', 'enum E { option features.enum_type = CLOSED; Z = 0; }', [('wire', 'enum_openness_changed')], ''),
    ('delimited', ED, 'message M { M a = 1; }', 'message M { M a = 1 [features.message_encoding = DELIMITED]; }', [('wire', 'type_changed')], None),
    ('utf8', ED, 'message M { string a = 1 [features.utf8_validation = NONE]; }', 'message M { string a = 1; }', [('wire', 'utf8_checked')], ''),
    ('type_other', P3, 'message M { A a = 1; } message A { int32 x = 1; } message B { fixed32 x = 1; }',
     'message M { B a = 1; } message A { int32 x = 1; } message B { fixed32 x = 1; }', [('source', 'type_renamed'), ('wire', 'type_changed')], None),
    ('type_renamed', P3, 'message M { A a = 1; } message A { int32 x = 1; }', 'message M { B a = 1; } message B { int32 x = 1; }',
     [('source', 'type_renamed'), ('source', 'message_removed')], 'wire'),
    ('stream', P3, 'message M {} service S { rpc A(M) returns (M); }', 'message M {} service S { rpc A(M) returns (stream M); }', [('wire', 'stream_changed')], None),
    ('method_removed', P3, 'message M {} service S { rpc A(M) returns (M); rpc B(M) returns (M); }', 'message M {} service S { rpc A(M) returns (M); }', [('wire', 'method_removed')], ''),
    ('service_removed', P3, 'message M {} service S { rpc A(M) returns (M); }', 'message M {}', [('wire', 'service_removed')], ''),
    ('get_refused', P3, 'message M {} service S { rpc A(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; } }',
     'message M {} service S { rpc A(M) returns (M); }', [('wire', 'idempotency_changed')], None),
    ('reserved_used', P3, 'message M { reserved 2; }', 'message M { int32 a = 2; }', [('wire', 'reserved_used')], None),
    ('reserved_name_used', P3, 'message M { reserved "a"; }', 'message M { int32 a = 2; }', [('json', 'reserved_used')], 'wire'),
    ('reserved_value_used', P3, 'enum E { Z = 0; reserved 2; }', 'enum E { Z = 0; A = 2; }', [('wire', 'reserved_used')], None),
    ('extension_range', P2, 'message M { extensions 10 to 20; }', 'message M { extensions 10 to 15; }', [('source', 'extension_range_removed')], None),
    ('extension_removed', P2, 'message M { extensions 10 to 20; } extend M { optional int32 x = 10; }', 'message M { extensions 10 to 20; }', [('json', 'extension_removed')], ''),
    ('extension_type', P2, 'message M { extensions 10 to 20; } extend M { optional int32 x = 10; }',
     'message M { extensions 10 to 20; } extend M { optional sint32 x = 10; }', [('wire', 'type_changed')], None),
    ('message_set', P2, 'message M { extensions 4 to max; }', 'message M { option message_set_wire_format = true; extensions 4 to max; }', [('wire', 'message_set_changed')], None),
]
failed = 0


def fault(text):
    global failed
    failed += 1
    print('FAILED', text)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


os.makedirs(WORK, exist_ok=True)
for side, body in (('old', 2), ('new', 3)):
    folder = os.path.join(WORK, side)
    os.makedirs(folder, exist_ok=True)
    for case in CASES:
        with open(os.path.join(folder, case[0] + '.proto'), 'w', encoding='utf-8') as f:
            f.write('%s\npackage c_%s;\n%s\n' % (case[1], case[0], case[body]))
    # buf refuses a whole set that has a message set in it.
    for suffix, cases in (('.binpb', CASES), ('-buf.binpb', [c for c in CASES if c[0] != 'message_set'])):
        made = run(PROTOC, '-I' + folder, '--descriptor_set_out=' + folder + suffix, *[c[0] + '.proto' for c in cases])
        if made.returncode:
            sys.exit(made.stderr)
old, new = (os.path.join(WORK, side + '.binpb') for side in ('old', 'new'))

out = run(ZCRPC, 'schema', 'diff', old, new, '--json')
ours = {}
for finding in json.loads(out.stdout):
    ours.setdefault(finding['path'].split('.')[0][2:], set()).add((finding['breaks'], finding['kind']))
for name, _, _, _, want, _ in CASES:
    if ours.get(name, set()) != set(want):
        fault('%s: %s, wanted %s' % (name, sorted(ours.get(name, set())), sorted(want)))

# One line a finding, by level; the exit status tells whether there is any.
for level, levels in (('wire', {'wire'}), ('json', {'wire', 'json'}), ('source', {'wire', 'json', 'source'})):
    lines = run(ZCRPC, 'schema', 'diff', old, new, '--breaks', level)
    if lines.returncode != 1 or {line.split(':')[0] for line in lines.stdout.splitlines()} != levels:
        fault('--breaks %s: exit %d' % (level, lines.returncode))
same = run(ZCRPC, 'schema', 'diff', old, old)
if same.returncode or same.stdout:
    fault('a schema against itself: exit %d, %s' % (same.returncode, same.stdout))
for arguments, text in (([], 'error: zcrpc schema: the command is diff; see zcrpc --help'), (['diff', old], 'error: zcrpc schema diff: needs two descriptor sets, the old one and the new one'),
                        (['diff', old, new, '--breaks', 'x'], 'error: zcrpc schema diff: --breaks is wire, json or source, not x')):
    r = run(ZCRPC, 'schema', *arguments)
    if r.returncode != 2 or r.stderr.strip() != text:
        fault('usage: %d %s' % (r.returncode, r.stderr))
if run(ZCRPC, 'schema', 'diff', old, WORK + '/absent').returncode != 1:
    fault('a file that is not there')

if BUF:
    flagged = {}
    for category in ('WIRE', 'WIRE_JSON'):
        config = json.dumps({'version': 'v2', 'breaking': {'use': [category]}})
        r = run(BUF, 'breaking', new.replace('.binpb', '-buf.binpb'), '--against', old.replace('.binpb', '-buf.binpb'), '--config', config, '--error-format', 'json')
        if r.returncode not in (0, 100):
            sys.exit('buf: ' + r.stderr)
        flagged[category] = {json.loads(line)['path'].removesuffix('.proto') for line in r.stdout.splitlines() if line}
    for name, _, _, _, want, otherwise in CASES:
        if name == 'message_set':
            continue
        theirs = 'wire' if name in flagged['WIRE'] else 'json' if name in flagged['WIRE_JSON'] else ''
        levels = {level for level, _ in want}
        mine = 'wire' if 'wire' in levels else 'json' if 'json' in levels else ''
        if theirs != (mine if otherwise is None else otherwise):
            fault('%s: buf says %r, we %r' % (name, theirs, mine))
print('schema diff: %d cases, %s, %d failed' % (len(CASES), 'compared with buf' if BUF else 'without buf', failed))
sys.exit(failed != 0)
