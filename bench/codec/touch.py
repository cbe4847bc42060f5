"""Writes, from the descriptors of shapes.proto, the code that reads every field of a message through each library's own
accessors, so that all sides are asked for the same: numbers summed, of strings the length and the first byte."""

INT = {'INT32', 'INT64', 'UINT32', 'UINT64', 'SINT32', 'SINT64', 'FIXED32', 'FIXED64', 'SFIXED32', 'SFIXED64', 'BOOL', 'ENUM'}
UPB = {'INT32': 'Int32', 'INT64': 'Int64', 'UINT32': 'UInt32', 'UINT64': 'UInt64', 'FIXED32': 'UInt32', 'FIXED64': 'UInt64', 'BOOL': 'Bool', 'ENUM': 'Int32'}
C = {'INT32': 'int32_t', 'INT64': 'int64_t', 'FIXED64': 'uint64_t', 'UINT64': 'uint64_t'}


class Field:
    def __init__(self, raw):
        self.name, self.number = raw['name'], raw['number']
        self.kind = raw['type'].removeprefix('TYPE_')
        self.message = raw.get('typeName', '').split('.')[-1] if self.kind == 'MESSAGE' else None
        self.repeated = raw.get('label') == 'LABEL_REPEATED'
        self.optional = raw.get('proto3Optional', False)
        self.oneof = raw.get('oneofIndex') if not self.optional else None
        self.text = self.kind in ('STRING', 'BYTES')
        self.camel = ''.join(p.title() for p in self.name.split('_'))


class Message:
    def __init__(self, raw):
        self.name = raw['name']
        entries = {n['name'] for n in raw.get('nestedType', []) if n.get('options', {}).get('mapEntry')}
        self.fields = [Field(f) for f in raw.get('field', [])]
        for f in self.fields:
            f.map = f.message in entries
        self.oneofs = [o['name'] for o in raw.get('oneofDecl', [])]

    def plain(self):
        return [f for f in self.fields if f.oneof is None]

    def members(self, oneof):
        return [f for f in self.fields if f.oneof == oneof]

    def real_oneofs(self):
        return [i for i in range(len(self.oneofs)) if self.members(i)]


def messages(descriptors):
    return [Message(m) for f in descriptors['file'] for m in f.get('messageType', [])]


def number(kind, value):
    """A C++ expression of a number as 64 bits."""
    return f'bits({value})' if kind == 'DOUBLE' else f'uint64_t(int64_t({value}))'


def zcrpc(all_messages):
    out = [f'[[maybe_unused]] uint64_t touch(const bench_shapes_{m.name}* m);' for m in all_messages]
    for m in all_messages:
        out.append(f'uint64_t touch(const bench_shapes_{m.name}* m) {{ uint64_t s = 0;')
        for f in m.plain():
            g = f'bench_shapes_{m.name}_{f.name}'
            loop = f'for (size_t i = 0, n = {g}_count(m); i < n; i++) s +='
            if f.map:
                out.append(f'{loop} see({g}_key_at(m, i)) + see({g}_value_at(m, i));')
            elif f.repeated:
                out.append(f'{loop} {f"touch({g}(m, i))" if f.message else f"see({g}(m, i))" if f.text else number(f.kind, f"{g}(m, i)")};')
            elif f.message:
                out.append(f'if (auto* x = {g}(m)) s += touch(x);')
            else:
                out.append(f's += {f"see({g}(m))" if f.text else number(f.kind, f"{g}(m)")};')
        for i in m.real_oneofs():
            out.append(f'switch (bench_shapes_{m.name}_which_{m.oneofs[i]}(m)) {{')
            for f in m.members(i):
                g = f'bench_shapes_{m.name}_{f.name}(m)'
                out.append(f'case {f.number}: s += {f"see({g})" if f.text else number(f.kind, g)}; break;')
            out.append('}')
        out.append('return s; }')
    return out


def protobuf(all_messages):
    out = [f'[[maybe_unused]] uint64_t touch(const bench::shapes::{m.name}& m);' for m in all_messages]
    for m in all_messages:
        out.append(f'uint64_t touch(const bench::shapes::{m.name}& m) {{ uint64_t s = 0;')
        for f in m.plain():
            if f.map:
                out.append(f'for (const auto& kv : m.{f.name}()) s += see(kv.first) + see(kv.second);')
            elif f.repeated:
                out.append(f'for (const auto& x : m.{f.name}()) s += {"touch(x)" if f.message else "see(x)" if f.text else number(f.kind, "x")};')
            elif f.message:
                out.append(f'if (m.has_{f.name}()) s += touch(m.{f.name}());')
            else:
                out.append(f's += {f"see(m.{f.name}())" if f.text else number(f.kind, f"m.{f.name}()")};')
        for i in m.real_oneofs():
            out.append(f'switch (m.{m.oneofs[i]}_case()) {{')
            for f in m.members(i):
                g = f'm.{f.name}()'
                out.append(f'case bench::shapes::{m.name}::k{f.camel}: s += {f"see({g})" if f.text else number(f.kind, g)}; break;')
            out.append('default: break; }')
        out.append('return s; }')
    return out


def upb(all_messages):
    """Uses the constants that upb_fields wrote, as upb's generated accessors do."""
    out = [f'[[maybe_unused]] uint64_t touch_{m.name}(const upb_Message* m);' for m in all_messages]

    def get(m, f):
        if f.text:
            return f'see(upb_Message_GetString(m, &F_{m.name}_{f.name}, upb_StringView{{}}))'
        return number(f.kind, f'upb_Message_Get{UPB.get(f.kind, "Double")}(m, &F_{m.name}_{f.name}, 0)')

    for m in all_messages:
        out.append(f'uint64_t touch_{m.name}(const upb_Message* m) {{ uint64_t s = 0;')
        for f in m.plain():
            field = f'&F_{m.name}_{f.name}'
            if f.map:
                out.append(f'if (auto* map = upb_Message_GetMap(m, {field})) {{ size_t it = kUpb_Map_Begin; upb_MessageValue k, v; '
                           'while (upb_Map_Next(map, &k, &v, &it)) s += see(k.str_val) + see(v.str_val); }')
            elif f.repeated:
                kind = 'const upb_Message* const' if f.message else 'const upb_StringView' if f.text else f'const {C[f.kind]}'
                each = f'touch_{f.message}(x[i])' if f.message else 'see(x[i])' if f.text else number(f.kind, 'x[i]')
                out.append(f'if (auto* a = upb_Message_GetArray(m, {field})) {{ auto* x = static_cast<{kind}*>(upb_Array_DataPtr(a)); '
                           f'for (size_t i = 0, n = upb_Array_Size(a); i < n; i++) s += {each}; }}')
            elif f.message:
                out.append(f'if (auto* x = upb_Message_GetMessage(m, {field})) s += touch_{f.message}(x);')
            else:
                out.append(f's += {get(m, f)};')
        for i in m.real_oneofs():
            first = m.members(i)[0]
            out.append(f'switch (which(m, &F_{m.name}_{first.name})) {{')
            out += [f'case {f.number}: s += {get(m, f)}; break;' for f in m.members(i)]
            out.append('default: break; }')
        out.append('return s; }')
    return out


def rust(all_messages, buffa):
    """For buffa's views, or for prost's messages."""
    out = []
    for m in all_messages:
        view = "View<'_>" if buffa else ''
        out.append(f'impl Touch for {m.name}{view} {{ fn touch(&self) -> u64 {{ let mut s = 0u64;')
        add = lambda e: out.append(f's = s.wrapping_add({e});')
        for f in m.plain():
            x = f'self.{f.name}'
            see = (lambda v: f'see({v})') if buffa else (lambda v: f'see(&{v})')
            if f.map:
                out.append(f'for (k, v) in {x}.iter() {{ s = s.wrapping_add(see(k)).wrapping_add(see(v)); }}')
            elif f.repeated:
                each = 'x.touch()' if f.message else 'see(x)' if f.text else '*x as i64 as u64'
                out.append(f'for x in {x}.iter() {{ s = s.wrapping_add({each}); }}')
            elif f.message:
                out.append(f'if let Some(x) = {x}.as_{"option" if buffa else "ref"}() {{ s = s.wrapping_add(x.touch()); }}')
            elif f.text:
                add(f'{x}{"" if buffa else ".as_deref()"}.map_or(0, see)' if f.optional else see(x))
            elif f.kind == 'DOUBLE':
                add(f'{x}.to_bits()')
            elif f.kind == 'ENUM':
                add(f'{x}{".to_i32()" if buffa else ""} as i64 as u64')
            else:
                add(f'{x}{".unwrap_or(0)" if f.optional else ""} as i64 as u64')
        for i in m.real_oneofs():
            path = f'{"view_oneof::" if buffa else ""}{m.name.lower()}::{m.oneofs[i].title()}'
            out.append(f'match &self.{m.oneofs[i]} {{ None => {{}}')
            for f in m.members(i):
                value = 'see(x)' if f.text else 'x.to_bits()' if f.kind == 'DOUBLE' else '*x as i64 as u64'
                out.append(f'Some({path}::{f.camel}(x)) => s = s.wrapping_add({value}),')
            out.append('}')
        out.append('s } }')
    return out


def write(descriptors, folder):
    every = messages(descriptors)
    for name, lines in (('touch_zcrpc.h', zcrpc(every)), ('touch_protobuf.h', protobuf(every)), ('touch_upb.h', upb(every)),
                        ('touch_buffa.rs', rust(every, True)), ('touch_prost.rs', rust(every, False))):
        path = f'{folder}/{name}'
        text = '\n'.join(lines) + '\n'
        try:
            with open(path) as f:
                if f.read() == text:
                    continue
        except FileNotFoundError:
            pass
        with open(path, 'w') as f:
            f.write(text)
